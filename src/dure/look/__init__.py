"""The design system: tokens, base templates, components, chart themes, words in two languages. Pure of network."""
