"""The tables of the CDM about care, its cost, what is derived, cohorts and the database itself.

Responsible for: names, types and order of columns, as `omop.tables` reads them. Not responsible for: what a column means.
"""

HEALTH_SYSTEM = {
    "location": """
        location_id int! key, address_1 text, address_2 text, city text, state text, zip text, county text,
        location_source_value text, country_concept_id int 5.4, country_source_value text 5.4,
        latitude float 5.4, longitude float 5.4
    """,
    "care_site": """
        care_site_id int! key, care_site_name text, place_of_service_concept_id int, location_id int,
        care_site_source_value text, place_of_service_source_value text
    """,
    "provider": """
        provider_id int! key, provider_name text, npi text, dea text, specialty_concept_id int,
        care_site_id int, year_of_birth int, gender_concept_id int, provider_source_value text,
        specialty_source_value text, specialty_source_concept_id int, gender_source_value text,
        gender_source_concept_id int
    """,
    "payer_plan_period": """
        payer_plan_period_id int! key, person_id int!, payer_plan_period_start_date date!,
        payer_plan_period_end_date date!, payer_concept_id int, payer_source_value text,
        payer_source_concept_id int, plan_concept_id int, plan_source_value text,
        plan_source_concept_id int, sponsor_concept_id int, sponsor_source_value text,
        sponsor_source_concept_id int, family_source_value text, stop_reason_concept_id int,
        stop_reason_source_value text, stop_reason_source_concept_id int
    """,
    "cost": """
        cost_id int! key, cost_event_id int!, cost_domain_id text!, cost_type_concept_id int!,
        currency_concept_id int, total_charge float, total_cost float, total_paid float,
        paid_by_payer float, paid_by_patient float, paid_patient_copay float,
        paid_patient_coinsurance float, paid_patient_deductible float, paid_by_primary float,
        paid_ingredient_cost float, paid_dispensing_fee float, payer_plan_period_id int,
        amount_allowed float, revenue_code_concept_id int, revenue_code_source_value text,
        drg_concept_id int, drg_source_value text
    """,
    "drug_era": """
        drug_era_id int! key, person_id int!, drug_concept_id int!, drug_era_start_date date!,
        drug_era_end_date date!, drug_exposure_count int, gap_days int
    """,
    "dose_era": """
        dose_era_id int! key, person_id int!, drug_concept_id int!, unit_concept_id int!, dose_value float!,
        dose_era_start_date date!, dose_era_end_date date!
    """,
    "condition_era": """
        condition_era_id int! key, person_id int!, condition_concept_id int!,
        condition_era_start_date date!, condition_era_end_date date!, condition_occurrence_count int
    """,
    "episode": """
        episode_id int! key, person_id int!, episode_concept_id int!, episode_start_date date!,
        episode_start_datetime datetime, episode_end_date date, episode_end_datetime datetime,
        episode_parent_id int, episode_number int, episode_object_concept_id int!,
        episode_type_concept_id int!, episode_source_value text, episode_source_concept_id int
    """,
    "episode_event": """
        episode_id int!, event_id int!, episode_event_field_concept_id int!
    """,
    "metadata": """
        metadata_id int! key 5.4, metadata_concept_id int!, metadata_type_concept_id int!, name text!,
        value_as_string text, value_as_concept_id int, value_as_number float 5.4, metadata_date date,
        metadata_datetime datetime
    """,
    "cdm_source": """
        cdm_source_name text!, cdm_source_abbreviation text 5.3, cdm_source_abbreviation text! 5.4,
        cdm_holder text 5.3, cdm_holder text! 5.4, source_description text,
        source_documentation_reference text, cdm_etl_reference text, source_release_date date 5.3,
        source_release_date date! 5.4, cdm_release_date date 5.3, cdm_release_date date! 5.4,
        cdm_version text, cdm_version_concept_id int! 5.4, vocabulary_version text 5.3,
        vocabulary_version text! 5.4
    """,
    "cohort": """
        cohort_definition_id int!, subject_id int!, cohort_start_date date!, cohort_end_date date!
    """,
    "cohort_definition": """
        cohort_definition_id int!, cohort_definition_name text!, cohort_definition_description text,
        definition_type_concept_id int!, cohort_definition_syntax text, subject_concept_id int!,
        cohort_initiation_date date
    """,
    "attribute_definition": """
        attribute_definition_id int!, attribute_name text!, attribute_description text,
        attribute_type_concept_id int!, attribute_syntax text
    """,
}
