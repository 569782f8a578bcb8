"""What is disclosive: pure functions of evidence and a risk appetite, and what they say."""
