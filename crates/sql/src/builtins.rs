//! Functions of the server itself: those that touch nothing that is shared, and those whose effect is known.
//! A name that is neither here nor in the catalogue is not understood.

/// What a call of a built-in function means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Builtin {
    /// Depends on its arguments, the clock, chance or its own session alone.
    Harmless,
    /// Takes or gives back advisory locks.
    Advisory(Lock),
    /// `nextval`.
    NextValue,
    /// `setval`.
    SetValue,
    /// `pg_notify`.
    Notify,
    /// `pg_current_xact_id`: the transaction gets an id by it.
    Number,
    /// `set_config`: may change the isolation level.
    SetConfig,
}

/// Which advisory lock function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lock {
    pub(crate) exclusive: bool,
    /// Freed at the end of the transaction.
    pub(crate) transaction: bool,
    /// Frees all of the session.
    pub(crate) all: bool,
}

/// Looks up a built-in function by its bare name.
pub(crate) fn builtin(name: &str) -> Option<Builtin> {
    match name {
        "nextval" => return Some(Builtin::NextValue),
        "setval" => return Some(Builtin::SetValue),
        "pg_notify" => return Some(Builtin::Notify),
        "txid_current" | "pg_current_xact_id" => return Some(Builtin::Number),
        "set_config" => return Some(Builtin::SetConfig),
        _ => {}
    }
    if name.starts_with("pg_") && name.contains("advisory") {
        return Some(Builtin::Advisory(Lock {
            exclusive: !name.ends_with("_shared"),
            transaction: name.contains("_xact_"),
            all: name.ends_with("_all"),
        }));
    }
    let listed = HARMLESS
        .iter()
        .any(|line| line.split_ascii_whitespace().any(|known| known == name));
    listed.then_some(Builtin::Harmless)
}

/// Functions of common extensions that touch nothing (they are in the catalogue, in language `c`).
pub(crate) fn harmless_extension(name: &str) -> bool {
    EXTENSIONS
        .iter()
        .any(|line| line.split_ascii_whitespace().any(|known| known == name))
}

const EXTENSIONS: &[&str] = &[
    "uuid_generate_v1 uuid_generate_v1mc uuid_generate_v3 uuid_generate_v4 uuid_generate_v5",
    "uuid_nil uuid_ns_dns uuid_ns_url crypt gen_salt digest hmac encrypt decrypt",
    "gen_random_bytes gen_random_uuid pgp_sym_encrypt pgp_sym_decrypt armor dearmor similarity",
    "word_similarity strict_word_similarity show_trgm set_limit show_limit unaccent levenshtein",
    "soundex metaphone hstore akeys avals skeys svals each exist defined slice hstore_to_json",
    "hstore_to_jsonb citext earth_distance ltree2text text2ltree nlevel subpath subltree lca",
    "cube cube_distance sort uniq idx icount",
];

const HARMLESS: &[&str] = &[
    // Aggregates and window functions.
    "count sum avg min max array_agg string_agg bool_and bool_or every json_agg jsonb_agg",
    "json_object_agg jsonb_object_agg xmlagg bit_and bit_or bit_xor corr covar_pop covar_samp",
    "stddev stddev_pop stddev_samp variance var_pop var_samp mode regr_avgx regr_avgy",
    "regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy percentile_cont",
    "percentile_disc row_number rank dense_rank percent_rank cume_dist ntile lag lead",
    "first_value last_value nth_value range_agg range_intersect_agg any_value grouping",
    "json_arrayagg json_objectagg",
    // Conditionals and comparison.
    "coalesce nullif greatest least num_nulls num_nonnulls",
    // Numbers.
    "abs ceil ceiling floor round trunc sign sqrt cbrt exp ln log log10 power pow mod div pi",
    "degrees radians sin cos tan cot asin acos atan atan2 sinh cosh tanh random setseed",
    "width_bucket gcd lcm factorial scale min_scale trim_scale int4 int8 int2 float4 float8",
    "numeric text varchar bpchar bool date timestamp timestamptz time interval uuid json jsonb",
    "bytea",
    // Text.
    "length char_length character_length octet_length bit_length lower upper initcap trim btrim",
    "ltrim rtrim lpad rpad left right substr substring replace translate reverse repeat",
    "split_part strpos position concat concat_ws format ascii chr md5 sha224 sha256 sha384",
    "sha512 encode decode convert convert_from convert_to quote_ident quote_literal",
    "quote_nullable regexp_match regexp_matches regexp_replace regexp_split_to_array",
    "regexp_split_to_table regexp_count regexp_instr regexp_like regexp_substr starts_with",
    "string_to_array string_to_table array_to_string to_hex overlay normalize unistr",
    "parse_ident",
    // Dates.
    "now clock_timestamp statement_timestamp transaction_timestamp timeofday age date_part",
    "date_trunc date_bin extract to_char to_date to_timestamp to_number make_date make_time",
    "make_timestamp make_timestamptz make_interval justify_days justify_hours justify_interval",
    "isfinite timezone overlaps pg_sleep pg_sleep_for pg_sleep_until",
    // Arrays, ranges, sets.
    "array_append array_cat array_dims array_fill array_length array_lower array_ndims",
    "array_position array_positions array_prepend array_remove array_replace array_upper",
    "cardinality trim_array unnest generate_series generate_subscripts isempty lower_inc",
    "upper_inc lower_inf upper_inf range_merge int4range int8range numrange tsrange tstzrange",
    "daterange multirange",
    // JSON.
    "to_json to_jsonb row_to_json array_to_json json_build_array jsonb_build_array",
    "json_build_object jsonb_build_object json_object jsonb_object json_each jsonb_each",
    "json_each_text jsonb_each_text json_array_length jsonb_array_length json_array_elements",
    "jsonb_array_elements json_array_elements_text jsonb_array_elements_text json_extract_path",
    "jsonb_extract_path json_extract_path_text jsonb_extract_path_text json_object_keys",
    "jsonb_object_keys json_populate_record jsonb_populate_record json_populate_recordset",
    "jsonb_populate_recordset json_to_record jsonb_to_record json_to_recordset",
    "jsonb_to_recordset json_strip_nulls jsonb_strip_nulls jsonb_set jsonb_set_lax jsonb_insert",
    "jsonb_path_exists jsonb_path_match jsonb_path_query jsonb_path_query_array",
    "jsonb_path_query_first jsonb_pretty json_typeof jsonb_typeof",
    // Text search, network, bits, geometry.
    "to_tsvector to_tsquery plainto_tsquery phraseto_tsquery websearch_to_tsquery ts_rank",
    "ts_rank_cd ts_headline setweight strip numnode querytree tsvector_to_array",
    "array_to_tsvector ts_delete host masklen netmask network broadcast family hostmask",
    "inet_merge set_masklen get_bit set_bit get_byte set_byte bit_count point box circle",
    "polygon lseg path area center diameter height width radius",
    // Identifiers, session and version; catalogue lookups, which only DDL changes.
    "gen_random_uuid version current_setting current_schema current_schemas current_database",
    "current_catalog current_user session_user user current_query inet_client_addr",
    "inet_server_addr inet_client_port inet_server_port pg_backend_pid pg_typeof",
    "pg_client_encoding pg_is_in_recovery pg_postmaster_start_time pg_conf_load_time lastval",
    "currval hashtext hashtextextended hashint4 hashint8 row pg_my_temp_schema pg_column_size",
    "txid_current_if_assigned pg_current_xact_id_if_assigned",
    "getdatabaseencoding format_type pg_get_expr pg_get_constraintdef pg_get_indexdef",
    "pg_get_viewdef pg_get_serial_sequence pg_get_userbyid pg_get_functiondef",
    "pg_get_function_arguments pg_get_function_identity_arguments pg_get_function_result",
    "pg_get_triggerdef pg_get_ruledef pg_get_partkeydef pg_table_is_visible pg_type_is_visible",
    "pg_function_is_visible obj_description col_description shobj_description",
    "pg_encoding_to_char has_table_privilege has_schema_privilege has_column_privilege",
    "has_database_privilege has_sequence_privilege has_function_privilege to_regclass",
    "to_regtype to_regproc to_regnamespace pg_char_to_encoding pg_has_role pg_get_keywords",
    "pg_tablespace_location pg_relation_is_updatable pg_index_column_has_property aclexplode",
    "acldefault xmlconcat xmlcomment xmlforest xmlparse xmlpi xmlroot xpath xpath_exists",
    "xmlelement enum_first enum_last enum_range merge_action pg_input_is_valid",
    "pg_input_error_info bit varbit character char inet cidr macaddr money oid regclass regtype",
    "regproc name array_sample array_shuffle unicode_version random_normal erf erfc collation",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advisory_functions_say_what_they_do_in_their_names() {
        let lock = |exclusive, transaction, all| {
            Some(Builtin::Advisory(Lock {
                exclusive,
                transaction,
                all,
            }))
        };
        assert_eq!(builtin("pg_advisory_lock"), lock(true, false, false));
        assert_eq!(
            builtin("pg_try_advisory_xact_lock_shared"),
            lock(false, true, false)
        );
        assert_eq!(builtin("pg_advisory_unlock_all"), lock(true, false, true));
    }

    #[test]
    fn what_reaches_beyond_its_session_is_not_harmless() {
        for name in [
            "pg_terminate_backend",
            "lo_create",
            "dblink",
            "pg_stat_reset",
            "query_to_xml",
            "pg_export_snapshot",
        ] {
            assert_eq!(builtin(name), None, "{name}");
        }
    }
}
