"""The design system: tokens, base templates, chart themes, words in two languages."""
