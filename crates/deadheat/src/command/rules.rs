//! The scenario's `[check]` section as the oracle takes it.

use std::collections::BTreeMap;

use deadheat_lab::record::Table;
use deadheat_scenario::{Allow, Mask, Scenario};
use deadheat_verdict::{Mask as Masked, Rules};

use crate::problem::Problem;

/// The rules of a scenario whose databases begin with these tables.
pub fn rules(scenario: &Scenario, start: BTreeMap<String, Table>) -> Result<Rules, Problem> {
    let mask = scenario
        .check
        .mask
        .iter()
        .map(|mask| match mask {
            Mask::Column { table, column } => Ok(Masked::Column {
                table: table.clone(),
                column: column.clone(),
            }),
            Mask::Json(path) => {
                format!("json:{path}")
                    .parse()
                    .map_err(|error: deadheat_verdict::MaskError| {
                        Problem::other(error.to_string(), None)
                    })
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    let allow = scenario
        .check
        .allow
        .iter()
        .map(|allow| match allow {
            Allow::Sqlstate(code) => code.clone(),
            Allow::Status(status) => status.to_string(),
        })
        .collect();
    Ok(Rules {
        serial: scenario.check.serial,
        mask,
        allow,
        start,
    })
}
