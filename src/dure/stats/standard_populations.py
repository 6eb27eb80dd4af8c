"""Standard populations, by ten-year bands of age: weights for directly standardised rates.

Responsible for: the weights, as published. Not responsible for: the rates (`standardisation`).
"""

BANDS = (*(f"{low}-{low + 9}" for low in range(0, 90, 10)), "90+")
WHO_2000 = (17.55, 17.07, 16.15, 14.76, 12.63, 9.92, 6.68, 3.73, 1.35, 0.195)
"""The WHO world standard 2000-2025, five-year bands joined. Source: Ahmad et al., GPE Discussion Paper 31, WHO 2001."""
EUROPE_2013 = (10.5, 11.0, 12.0, 13.5, 14.0, 13.5, 11.5, 9.0, 4.0, 1.0)
"""The European standard 2013, five-year bands joined. Source: Eurostat, Revision of the European Standard Population, 2013."""
STANDARDS = {"who_2000": WHO_2000, "europe_2013": EUROPE_2013}
