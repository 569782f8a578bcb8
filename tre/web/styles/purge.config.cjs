// Leaves only the rules whose classes the templates and the components' macros name. See govuk.scss.
const path = require('path');
const web = path.join(__dirname, '..');
const macros = process.env.GOVUK_MACROS || path.join(web, '../../.venv/lib/python3.*/site-packages/govuk_frontend_jinja/templates/components');
const used = ['button', 'details', 'error-message', 'fieldset', 'hint', 'input', 'label', 'notification-banner', 'pagination',
  'radios', 'select', 'service-navigation', 'skip-link', 'tag', 'textarea'];

module.exports = {
  content: [`${web}/templates/*.html`, `${web}/words.py`, ...used.map((name) => `${macros}/${name}/macro.html`)],
  safelist: { standard: [/^govuk-tag--/, /^govuk-input--width/, 'html', 'body'] },
  defaultExtractor: (content) => content.match(/[A-Za-z0-9_-]+/g) || [],
};
