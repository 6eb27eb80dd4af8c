"""The vocabulary tables of the CDM.

Responsible for: names, types and order of columns, as `omop.tables` reads them. Not responsible for: resolving concept sets.
"""

VOCABULARY = {
    "concept": """
        concept_id int! key, concept_name text!, domain_id text!, vocabulary_id text!,
        concept_class_id text!, standard_concept text, concept_code text!, valid_start_date date!,
        valid_end_date date!, invalid_reason text
    """,
    "vocabulary": """
        vocabulary_id text! key, vocabulary_name text!, vocabulary_reference text! 5.3,
        vocabulary_reference text 5.4, vocabulary_version text, vocabulary_concept_id int!
    """,
    "domain": """
        domain_id text! key, domain_name text!, domain_concept_id int!
    """,
    "concept_class": """
        concept_class_id text! key, concept_class_name text!, concept_class_concept_id int!
    """,
    "concept_relationship": """
        concept_id_1 int!, concept_id_2 int!, relationship_id text!, valid_start_date date!,
        valid_end_date date!, invalid_reason text
    """,
    "relationship": """
        relationship_id text! key, relationship_name text!, is_hierarchical text!, defines_ancestry text!,
        reverse_relationship_id text!, relationship_concept_id int!
    """,
    "concept_synonym": """
        concept_id int!, concept_synonym_name text!, language_concept_id int!
    """,
    "concept_ancestor": """
        ancestor_concept_id int!, descendant_concept_id int!, min_levels_of_separation int!,
        max_levels_of_separation int!
    """,
    "source_to_concept_map": """
        source_code text!, source_concept_id int!, source_vocabulary_id text!, source_code_description text,
        target_concept_id int!, target_vocabulary_id text!, valid_start_date date!, valid_end_date date!,
        invalid_reason text
    """,
    "drug_strength": """
        drug_concept_id int!, ingredient_concept_id int!, amount_value float, amount_unit_concept_id int,
        numerator_value float, numerator_unit_concept_id int, denominator_value float,
        denominator_unit_concept_id int, box_size int, valid_start_date date!, valid_end_date date!,
        invalid_reason text
    """,
}
