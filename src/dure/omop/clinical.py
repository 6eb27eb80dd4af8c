"""The clinical tables of the CDM: what happened to a person.

Responsible for: names, types and order of columns, as `omop.tables` reads them (its docstring says how). Not responsible
for: what a column means.
"""

CLINICAL = {
    "person": """
        person_id int! key, gender_concept_id int!, year_of_birth int!, month_of_birth int,
        day_of_birth int, birth_datetime datetime, race_concept_id int!, ethnicity_concept_id int!,
        location_id int, provider_id int, care_site_id int, person_source_value text,
        gender_source_value text, gender_source_concept_id int, race_source_value text,
        race_source_concept_id int, ethnicity_source_value text, ethnicity_source_concept_id int
    """,
    "observation_period": """
        observation_period_id int! key, person_id int!, observation_period_start_date date!,
        observation_period_end_date date!, period_type_concept_id int!
    """,
    "visit_occurrence": """
        visit_occurrence_id int! key, person_id int!, visit_concept_id int!, visit_start_date date!,
        visit_start_datetime datetime, visit_end_date date!, visit_end_datetime datetime,
        visit_type_concept_id int!, provider_id int, care_site_id int, visit_source_value text,
        visit_source_concept_id int, admitted_from_concept_id int 5.4, admitted_from_source_value text 5.4,
        discharged_to_concept_id int 5.4, discharged_to_source_value text 5.4,
        preceding_visit_occurrence_id int, admitting_source_concept_id int 5.3,
        admitting_source_value text 5.3, discharge_to_concept_id int 5.3, discharge_to_source_value text 5.3
    """,
    "visit_detail": """
        visit_detail_id int! key, person_id int!, visit_detail_concept_id int!,
        visit_detail_start_date date!, visit_detail_start_datetime datetime, visit_detail_end_date date!,
        visit_detail_end_datetime datetime, visit_detail_type_concept_id int!, provider_id int,
        care_site_id int, visit_detail_source_value text, visit_detail_source_concept_id int,
        admitted_from_concept_id int 5.4, admitted_from_source_value text 5.4,
        discharged_to_source_value text 5.4, discharged_to_concept_id int 5.4,
        preceding_visit_detail_id int, parent_visit_detail_id int 5.4, visit_occurrence_id int!,
        admitting_source_value text 5.3, admitting_source_concept_id int 5.3,
        discharge_to_source_value text 5.3, discharge_to_concept_id int 5.3, visit_detail_parent_id int 5.3
    """,
    "condition_occurrence": """
        condition_occurrence_id int! key, person_id int!, condition_concept_id int!,
        condition_start_date date!, condition_start_datetime datetime, condition_end_date date,
        condition_end_datetime datetime, condition_type_concept_id int!, condition_status_concept_id int,
        stop_reason text, provider_id int, visit_occurrence_id int, visit_detail_id int,
        condition_source_value text, condition_source_concept_id int, condition_status_source_value text
    """,
    "drug_exposure": """
        drug_exposure_id int! key, person_id int!, drug_concept_id int!, drug_exposure_start_date date!,
        drug_exposure_start_datetime datetime, drug_exposure_end_date date!,
        drug_exposure_end_datetime datetime, verbatim_end_date date, drug_type_concept_id int!,
        stop_reason text, refills int, quantity float, days_supply int, sig text, route_concept_id int,
        lot_number text, provider_id int, visit_occurrence_id int, visit_detail_id int,
        drug_source_value text, drug_source_concept_id int, route_source_value text,
        dose_unit_source_value text
    """,
    "procedure_occurrence": """
        procedure_occurrence_id int! key, person_id int!, procedure_concept_id int!, procedure_date date!,
        procedure_datetime datetime, procedure_end_date date 5.4, procedure_end_datetime datetime 5.4,
        procedure_type_concept_id int!, modifier_concept_id int, quantity int, provider_id int,
        visit_occurrence_id int, visit_detail_id int, procedure_source_value text,
        procedure_source_concept_id int, modifier_source_value text
    """,
    "device_exposure": """
        device_exposure_id int! key, person_id int!, device_concept_id int!,
        device_exposure_start_date date!, device_exposure_start_datetime datetime,
        device_exposure_end_date date, device_exposure_end_datetime datetime, device_type_concept_id int!,
        unique_device_id text, production_id text 5.4, quantity int, provider_id int,
        visit_occurrence_id int, visit_detail_id int, device_source_value text,
        device_source_concept_id int, unit_concept_id int 5.4, unit_source_value text 5.4,
        unit_source_concept_id int 5.4
    """,
    "measurement": """
        measurement_id int! key, person_id int!, measurement_concept_id int!, measurement_date date!,
        measurement_datetime datetime, measurement_time text, measurement_type_concept_id int!,
        operator_concept_id int, value_as_number float, value_as_concept_id int, unit_concept_id int,
        range_low float, range_high float, provider_id int, visit_occurrence_id int, visit_detail_id int,
        measurement_source_value text, measurement_source_concept_id int, unit_source_value text,
        unit_source_concept_id int 5.4, value_source_value text, measurement_event_id int 5.4,
        meas_event_field_concept_id int 5.4
    """,
    "observation": """
        observation_id int! key, person_id int!, observation_concept_id int!, observation_date date!,
        observation_datetime datetime, observation_type_concept_id int!, value_as_number float,
        value_as_string text, value_as_concept_id int, qualifier_concept_id int, unit_concept_id int,
        provider_id int, visit_occurrence_id int, visit_detail_id int, observation_source_value text,
        observation_source_concept_id int, unit_source_value text, qualifier_source_value text,
        value_source_value text 5.4, observation_event_id int 5.4, obs_event_field_concept_id int 5.4
    """,
    "death": """
        person_id int!, death_date date!, death_datetime datetime, death_type_concept_id int,
        cause_concept_id int, cause_source_value text, cause_source_concept_id int
    """,
    "note": """
        note_id int! key, person_id int!, note_date date!, note_datetime datetime,
        note_type_concept_id int!, note_class_concept_id int!, note_title text, note_text text!,
        encoding_concept_id int!, language_concept_id int!, provider_id int, visit_occurrence_id int,
        visit_detail_id int, note_source_value text, note_event_id int 5.4,
        note_event_field_concept_id int 5.4
    """,
    "note_nlp": """
        note_nlp_id int! key, note_id int!, section_concept_id int, snippet text, offset text,
        lexical_variant text!, note_nlp_concept_id int, note_nlp_source_concept_id int, nlp_system text,
        nlp_date date!, nlp_datetime datetime, term_exists text, term_temporal text, term_modifiers text
    """,
    "specimen": """
        specimen_id int! key, person_id int!, specimen_concept_id int!, specimen_type_concept_id int!,
        specimen_date date!, specimen_datetime datetime, quantity float, unit_concept_id int,
        anatomic_site_concept_id int, disease_status_concept_id int, specimen_source_id text,
        specimen_source_value text, unit_source_value text, anatomic_site_source_value text,
        disease_status_source_value text
    """,
    "fact_relationship": """
        domain_concept_id_1 int!, fact_id_1 int!, domain_concept_id_2 int!, fact_id_2 int!,
        relationship_concept_id int!
    """,
}
