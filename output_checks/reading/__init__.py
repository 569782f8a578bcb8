"""Published bytes as anybody reads them: tables, workbooks, pictures."""
