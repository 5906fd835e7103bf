use std::collections::BTreeSet;

use sync_protocol::{
    Row, RowId, Tenant, UnitId, Value,
    catalogue::{Actor, Catalogue, ColumnType, Place, StepFault, UnitRows},
};

/// Rows of a unit from texts such as `members: sex=1 formal_on=2001`.
pub fn rows(catalogue: &Catalogue, lines: &[&str]) -> UnitRows {
    let mut rows = UnitRows::new();
    for (number, line) in (0u8..).zip(lines) {
        let (ledger, cells) = line.split_once(':').expect("ledger: cells");
        let mut row = Row::new(RowId::random([number; 10]));
        for cell in cells.split(' ').filter(|cell| !cell.is_empty()) {
            let (column, text) = cell.split_once('=').expect("column=value");
            let declared = catalogue.ledger(ledger).and_then(|l| l.column(column));
            assert!(declared.is_some() || column.starts_with('@'), "{ledger}.{column}");
            let value = match declared.map(|declared| &declared.column_type) {
                Some(ColumnType::Int) => Value::Int(text.parse().expect("a number")),
                Some(ColumnType::Bool) => Value::Bool(text == "true"),
                _ => Value::text(text),
            };
            row.cells.insert(column.to_owned(), value);
        }
        rows.entry(ledger.to_owned()).or_default().push(row);
    }
    rows
}

/// A unit that is its own reporting unit.
pub fn place() -> Place {
    let unit = UnitId::derive(&Tenant::new("340099"), None, "340099");
    Place { unit, reporting_unit: unit }
}

/// The rules that these rows break.
fn broken(lines: &[&str]) -> BTreeSet<String> {
    let catalogue = Catalogue::builtin();
    let mut variables = catalogue.variables(2012, None);
    variables.insert("statistics_date".into(), Value::from("2012-10-15"));
    let rows = rows(&catalogue, lines);
    catalogue
        .rules()
        .iter()
        .filter(|rule| !rule.broken(place(), &rows, &variables).is_empty())
        .map(|rule| rule.id.clone())
        .collect()
}

#[test]
fn rules_find_what_is_wrong_and_leave_alone_what_is_right() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["members: id_card=340099198001010013 birth_date=1980-01 sex=1"], &[]),
        (&["members: id_card=340099198001010013 birth_date=1980-02 sex=2"], &["members.v1a", "members.v1b"]),
        (&["members: member_category=formal joined_on=2001-05 formal_on=2000"], &["members.v3a", "members.v4a"]),
        (&["members: member_category=formal"], &["members.v3b"]),
        (&["members: member_category=probationary is_lost=true"], &["members.lost_on"]),
        (&["members: joined_on=2001-05 formal_on=2002-04 birth_date=1984-06"], &["members.v4a", "members.v4b"]),
        (&["members: joined_on=2001-05 formal_on=2002-05 birth_date=1983-05"], &[]),
        (
            &["four-deliberations: p4_on=2012-05-01 o1_on=2012-05-05"],
            &["four-deliberations.v1b", "four-deliberations.v4a"],
        ),
        (&["four-deliberations: p4_on=2012-05-01 o1_on=2012-05-04"], &["four-deliberations.v1b"]),
        (&["grading: publicised_from=2012-10-10 publicised_to=2012-10-14"], &["grading.publicity"]),
        (&["grading: publicised_from=2012-10-10 publicised_to=2012-10-15"], &[]),
        (&["five-good-assessment: score_team=20.5 bonus=-10"], &["five-good-assessment.range"]),
        (&["five-good-assessment: score_team=20 bonus=-10.1"], &["five-good-assessment.range"]),
        (&["five-good-assessment: score_team=20.0 bonus=-10"], &[]),
        (&["citizen-requests: collected_on=2012-10-01 due_on=2012-10-17"], &["citizen-requests.limit"]),
        (&["citizen-requests: collected_on=2012-10-01 due_on=2012-10-16"], &[]),
        (&["star-rating: final_star=5 score=89.9"], &["star-rating.v2"]),
        (&["star-rating: final_star=5 score=90"], &[]),
        (&["organisations: member_total=31 formal_members=30 probationary_members=2"], &["organisations.v1"]),
        (&["organisations: org_status=active org_type=branch formal_members=2"], &["organisations.v2"]),
        (&["organisations: org_status=active field=rural"], &["organisations.v7"]),
        (&["organisations: org_status=active field=rural division_code=340099100200"], &[]),
        (&["units: party_members=2 formal_members=3"], &["units.v1"]),
        (&["units: formation_mode=standalone formal_members=2"], &["units.v2", "units.v3a"]),
        (&["units: formation_mode=none covering_org=甲"], &["units.covering", "units.v3b"]),
        (&["grading: round=initial final_grade=backward decided_by=县 decided_on=2012-04-20"], &["grading.v6"]),
        (
            &[
                "grading: round=initial final_grade=backward decided_by=县 decided_on=2012-04-20",
                "grading: round=initial final_grade=average decided_by=县 decided_on=2012-04-21",
                "rectification: plan_approved_on=2012-05-01 due_on=2012-10-20 status=in_progress",
            ],
            &["grading.v1", "rectification.items"],
        ),
        (
            &[
                "grading: final_grade=advanced satisfaction_rate=89.50 score_total=95.0 decided_by=县 decided_on=2012-04-20",
            ],
            &["grading.v3"],
        ),
        (&["rectification: status=planned due_on=2012-10-21"], &["rectification.baseline", "rectification.v2"]),
        (
            &[
                "rectification: status=accepted accepted_on=2012-10-01 accepted_by=县 new_grade=average",
                "rectification-items: status=doing",
            ],
            &["rectification.baseline", "rectification.items", "rectification.v1b", "rectification.v1c"],
        ),
        (
            &[
                "rectification-items: status=verified done_on=2012-09-02 verified_on=2012-09-01 verified_by=张三 responsible_person=张三",
            ],
            &["rectification-items.v1a", "rectification-items.v1b"],
        ),
        (&["leadership-team: party_post=secretary", "leadership-team: party_post=secretary left_on=2011"], &[]),
        (&["leadership-team: party_post=secretary", "leadership-team: party_post=secretary"], &["leadership-team.v1"]),
        (
            &["four-deliberations: p1_on=2012-05-01 p2_on=2012-04-30 p3_due=30 p3_present=20 p3_agree=15"],
            &["four-deliberations.v1", "four-deliberations.v2"],
        ),
        (&["five-good-assessment: ballots=50 ballots_valid=51 ballots_satisfied=40"], &["five-good-assessment.v2"]),
        (
            &["rectification: status=in_progress due_on=2012-10-14"],
            &["rectification.baseline", "rectification.items", "rectification.overdue"],
        ),
        (
            &[
                "five-good-assessment: score_total=96.5 score_team=19.0 score_members=19.0 score_mechanism=19.5 score_performance=19.0 score_public=19.0 bonus=1",
            ],
            &[],
        ),
        (
            &[
                "five-good-assessment: score_total=96.5 score_team=19.0 score_members=19.0 score_mechanism=19.0 score_performance=19.0 score_public=19.0 bonus=1",
            ],
            &["five-good-assessment.v1"],
        ),
        (&["village-officials: total_pay=2400.50 base_pay=2000.00 performance_pay=400.5"], &[]),
        (&["members: is_lost=true lost_on=2012-06-01"], &["members.v7"]),
        (&["funds: amount_yuan=0.00 source=donation"], &["funds.v1", "funds.v2"]),
        (&["inspections: inspection_kind=self inspected_on=2012-11-15"], &[]),
        (&["inspections: inspection_kind=self inspected_on=2012-11-21"], &["inspections.v1"]),
        (&["project-tasks: status=done progress_pct=80.00 actual_value=9 target_value=10"], &["project-tasks.v1"]),
        (&["project-tasks: status=done progress_pct=80.00 actual_value=10 target_value=9"], &[]),
    ];
    let wrong: Vec<_> = cases
        .iter()
        .map(|(lines, expected)| (lines, broken(lines), expected.iter().map(|rule| (*rule).to_owned()).collect()))
        .filter(|(_, broken, expected)| broken != expected)
        .collect();
    assert!(wrong.is_empty(), "rows, broken rules, expected rules: {wrong:#?}");
}

#[test]
fn a_grade_is_given_by_the_county_and_changed_with_a_reason() {
    let catalogue = Catalogue::builtin();
    let workflow = catalogue.workflows("grading").find(|flow| flow.column == "final_grade").expect("a workflow");
    let row = |cells: &str| rows(&catalogue, &[&format!("grading: {cells}")])["grading"][0].clone();
    let (none, average, backward) = (row("round=initial"), row("final_grade=average"), row("final_grade=backward"));
    let decided = row("final_grade=backward decided_on=2012-05-03 reason=复核");
    for (before, after, actor, expected) in [
        (&none, &average, Actor::County, None),
        (&none, &average, Actor::Township, Some(StepFault::WrongActor)),
        (&average, &backward, Actor::County, Some(StepFault::Unmet)),
        (&average, &decided, Actor::County, None),
        (&average, &decided, Actor::Township, Some(StepFault::WrongActor)),
        (&average, &average, Actor::Branch, None),
    ] {
        let found = workflow.fault(before, after, actor, &catalogue.variables(2012, None));
        assert_eq!(found, expected, "{before:?} → {after:?} by {actor:?}");
    }
}
