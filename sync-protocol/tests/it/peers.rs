//! Rules that look at other rows, of the same unit and of others.

use std::collections::{BTreeMap, BTreeSet};

use sync_protocol::{
    Tenant, UnitId, Value,
    catalogue::{Catalogue, Peers, Place, UnitRows},
};

use crate::rules::rows;

/// The unit of a row without a number.
const OWN: u8 = 9;

/// Unit 0 is a reporting unit, 1 and [`OWN`] are below it, 2 is somewhere else.
fn place(number: u8) -> Place {
    let unit = |number: u8| UnitId::derive(&Tenant::new("340099"), None, &number.to_string());
    Place { unit: unit(number), reporting_unit: unit(if number == 2 { 2 } else { 0 }) }
}

/// Whether rows such as `1 organisations: org_status=active` break a rule.
fn breaks(catalogue: &Catalogue, rule: &str, date: &str, lines: &[&str]) -> bool {
    let mut variables = catalogue.variables(2012, None);
    variables.insert("statistics_date".into(), Value::from(date));
    let mut by_unit: BTreeMap<u8, Vec<&str>> = BTreeMap::new();
    for line in lines {
        let numbered = line.split_once(' ').and_then(|(number, rest)| Some((number.parse::<u8>().ok()?, rest)));
        let (number, line) = numbered.unwrap_or((OWN, line));
        by_unit.entry(number).or_default().push(line);
    }
    let units: Vec<(Place, UnitRows)> =
        by_unit.into_iter().map(|(number, lines)| (place(number), rows(catalogue, &lines))).collect();
    let rule = catalogue.rules().iter().find(|known| known.id == rule).unwrap_or_else(|| panic!("no rule {rule}"));
    let mut peers = Peers::of(rule);
    for (place, rows) in &units {
        peers.add(*place, rows, &variables);
    }
    units.iter().any(|(place, rows)| !peers.broken(*place, rows, &variables).is_empty())
}

/// Rule, statistics date, rows that break it, rows that do not.
type Case = (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("campaign-stages.v1", "2012-10-15", &["campaign-stages: stage_code=S1 start_date=2012-03-01 end_date=2012-03-31", "campaign-stages: stage_code=S2 start_date=2012-04-02 end_date=2012-12-31"], &["campaign-stages: stage_code=S1 start_date=2012-03-01 end_date=2012-03-31", "campaign-stages: stage_code=S2 start_date=2012-04-01 end_date=2012-12-31"]),
    ("campaign-stages.v2", "2012-10-15", &["campaign-stages: stage_code=S1", "campaign-stages: stage_code=S1"], &["campaign-stages: stage_code=S1", "campaign-stages: stage_code=S1 milestone=覆盖"]),
    ("campaign-stages.v3", "2012-10-15", &["campaign-stages: stage_code=S2 start_date=2012-04-01 end_date=2012-04-30", "campaign-stages: stage_code=S2 milestone=覆盖 due_on=2012-03-31"], &["campaign-stages: stage_code=S2 start_date=2012-04-01 end_date=2012-04-30", "campaign-stages: stage_code=S2 milestone=定级 due_on=2012-04-30"]),
    ("reporting-units.v1a", "2012-10-15", &["reporting-units: short_name=甲镇", "2 reporting-units: short_name=甲镇"], &["reporting-units: short_name=甲镇", "2 reporting-units: short_name=乙镇"]),
    ("reporting-units.v1b", "2012-10-15", &["reporting-units: sort_order=1", "2 reporting-units: sort_order=1"], &["reporting-units: sort_order=1", "2 reporting-units: sort_order=2"]),
    ("reporting-units.v2", "2012-10-15", &["0 reporting-units: active=false", "organisations: org_status=active"], &["0 reporting-units: active=false", "organisations: org_status=merged", "2 organisations: org_status=active"]),
    ("organisations.v6", "2012-10-15", &["organisations: member_total=3", "members: name=甲", "members: name=乙 membership_state=deceased"], &["organisations: member_total=1", "members: name=甲", "members: name=乙 membership_state=deceased"]),
    ("organisations.v8", "2012-10-15", &["organisations: org_name=东村支部 org_status=active", "1 organisations: org_name=东村支部 org_status=active"], &["organisations: org_name=东村支部 org_status=active", "2 organisations: org_name=东村支部 org_status=active"]),
    ("organisations.unique", "2012-10-15", &["organisations: org_code=01", "2 organisations: org_code=01"], &["organisations: org_code=01", "2 organisations: org_code=02", "2 organisations:"]),
    ("organisations.covers", "2012-10-15", &["organisations: org_name=甲 org_status=active field=two_new", "0 units: covering_org=乙"], &["organisations: org_name=甲 org_status=active field=two_new", "2 units: covering_org=甲"]),
    ("organisations.secretary", "2012-10-15", &["organisations: org_status=active secretary_name=甲", "leadership-team: name=乙 party_post=secretary"], &["organisations: org_status=active secretary_name=甲", "leadership-team: name=乙 party_post=secretary left_on=2011", "leadership-team: name=甲 party_post=secretary"]),
    ("organisations.division", "2012-10-15", &["0 reporting-units: unit_level=township division_code=340099100000", "organisations: division_code=340099101200"], &["0 reporting-units: unit_level=township division_code=340099100000", "organisations: division_code=340099100200"]),
    ("organisations.successor", "2012-10-15", &["organisations: org_status=merged", "rectification: status=planned"], &["organisations: org_status=merged", "rectification: status=accepted"]),
    ("units.unique", "2012-10-15", &["units: uscc=1", "2 units: uscc=1"], &["units: uscc=1", "2 units: uscc=2"]),
    ("units.v4", "2012-10-15", &["units: formation_mode=standalone covering_org=甲", "2 units: formation_mode=attached covering_org=甲"], &["units: formation_mode=joint covering_org=甲", "2 units: formation_mode=joint covering_org=甲", "units: formation_mode=standalone covering_org=乙"]),
    ("units.covering", "2012-10-15", &["units: covering_org=甲"], &["units: covering_org=甲", "2 organisations: org_name=甲"]),
    ("unbuilt-units.v1b", "2012-10-15", &["unbuilt-units: unit_ref=厂 progress=formed", "units: unit_name=厂 formation_mode=none"], &["unbuilt-units: unit_ref=厂 progress=formed", "units: unit_name=厂 formation_mode=standalone covering_org=甲"]),
    ("leadership-team.v1", "2012-10-15", &["leadership-team: party_post=secretary", "leadership-team: party_post=secretary"], &["leadership-team: party_post=secretary", "1 leadership-team: party_post=secretary"]),
    ("leadership-team.v2", "2012-10-15", &["organisations: established_on=2001 last_election_on=2011-08", "leadership-team: took_office_on=2011-07"], &["organisations: established_on=2001 last_election_on=2011-08", "leadership-team: took_office_on=2011-08"]),
    ("leadership-team.v3", "2012-10-15", &["organisations: formal_members=7", "leadership-team: name=甲", "leadership-team: name=乙"], &["organisations: formal_members=7", "leadership-team: name=甲", "leadership-team: name=乙", "leadership-team: name=丙"]),
    ("leadership-team.v4", "2012-10-15", &["members: name=甲", "leadership-team: name=乙"], &["members: name=甲", "leadership-team: name=甲", "leadership-team: name=丙 party_post=first_secretary"]),
    ("leadership-team.post", "2012-10-15", &["members: name=甲 party_post=deputy", "leadership-team: name=甲 party_post=secretary"], &["members: name=甲 party_post=secretary", "leadership-team: name=甲 party_post=secretary"]),
    ("secretaries.v2", "2012-10-15", &["secretaries: name=甲 year=2012", "secretaries: name=乙 year=2012"], &["secretaries: name=甲 year=2012 adjusted_on=2012-05-01", "secretaries: name=乙 year=2012"]),
    ("secretaries.v4", "2012-10-15", &["secretaries: competence=competent", "grading: final_grade=backward"], &["secretaries: competence=basic", "grading: final_grade=backward"]),
    ("secretaries.name", "2012-10-15", &["secretaries: name=甲", "leadership-team: name=乙 party_post=secretary"], &["secretaries: name=甲", "leadership-team: name=甲 party_post=secretary"]),
    ("secretaries.training", "2012-10-15", &["secretaries: name=甲 training_times=2", "training-attendance: name=甲 attended=true"], &["secretaries: name=甲 training_times=1", "training-attendance: name=甲 attended=true", "training-attendance: name=乙 attended=true"]),
    ("members.v5", "2012-10-15", &["members: id_card=340099198001010013", "2 members: id_card=340099198001010013"], &["members: id_card=340099198001010013", "2 members: id_card=340099198001010013 membership_state=transfer_pending"]),
    ("member-development.v3", "2012-10-15", &["member-development: name=甲 admitted_on=2012-07-01", "members: name=乙"], &["member-development: name=甲 admitted_on=2012-07-01", "members: name=甲"]),
    ("floating-members.v4", "2012-10-15", &["0 floating-members: direction=out home_org=东村 name=甲", "members: org_name=东村 name=乙"], &["0 floating-members: direction=out home_org=东村 name=甲", "members: org_name=东村 name=甲"]),
    ("unqualified-members.v1b", "2012-10-15", &["organisations: org_name=东村", "unqualified-members: result=remove approved_by=东村"], &["organisations: org_name=东村", "unqualified-members: result=remove approved_by=甲镇"]),
    ("village-officials.v2", "2012-10-15", &["village-officials: post=chair year=2011 total_pay=2400.00", "village-officials: post=chair year=2012 total_pay=2399.99"], &["village-officials: post=chair year=2011 total_pay=2400.00", "village-officials: post=chair year=2012 total_pay=12000.00"]),
    ("party-affairs-workers.v1", "2012-10-15", &["0 party-affairs-workers: name=甲 is_full_time=true", "1 party-affairs-workers: name=甲 is_full_time=true", "0 party-affairs-workers: name=甲 is_full_time=true", "1 party-affairs-workers: name=甲 is_full_time=true", "0 party-affairs-workers: name=甲 is_full_time=true", "1 party-affairs-workers: name=甲 is_full_time=true", "0 party-affairs-workers: name=甲 is_full_time=true", "1 party-affairs-workers: name=甲 is_full_time=true", "0 party-affairs-workers: name=甲 is_full_time=true", "1 party-affairs-workers: name=甲 is_full_time=true", "0 party-affairs-workers: name=甲 is_full_time=true"], &["0 party-affairs-workers: name=甲 is_full_time=true", "1 party-affairs-workers: name=甲 is_full_time=true", "2 party-affairs-workers: name=甲 is_full_time=true", "0 party-affairs-workers: name=甲 is_full_time=true", "1 party-affairs-workers: name=甲 is_full_time=true", "2 party-affairs-workers: name=甲 is_full_time=true", "0 party-affairs-workers: name=甲 is_full_time=true", "1 party-affairs-workers: name=甲 is_full_time=true", "2 party-affairs-workers: name=甲 is_full_time=true", "0 party-affairs-workers: name=甲 is_full_time=true", "1 party-affairs-workers: name=甲 is_full_time=true"]),
    ("training-sessions.v2", "2012-10-15", &["0 training-sessions: title=班 attended=2", "training-attendance: session_ref=班 attended=true"], &["0 training-sessions: title=班 attended=1", "training-attendance: session_ref=班 attended=true", "training-attendance: session_ref=班 attended=false"]),
    ("training-attendance.v1", "2012-10-15", &["0 training-sessions: title=班 hours=8", "training-attendance: session_ref=班 hours=10.5"], &["0 training-sessions: title=班 hours=16", "training-attendance: session_ref=班 hours=8.5"]),
    ("member-checkins.v1", "2012-10-15", &["member-checkins: id_card=1 status=registered", "2 member-checkins: id_card=1 status=confirmed"], &["member-checkins: id_card=1 status=left", "2 member-checkins: id_card=1 status=confirmed"]),
    ("member-checkins.v2", "2012-10-15", &["member-checkins: employer_org=村", "2 organisations: org_name=村 field=rural"], &["member-checkins: employer_org=局", "2 organisations: org_name=局 field=agency"]),
    ("five-good-assessment.v3", "2012-10-15", &["organisations: org_name=东村", "five-good-assessment: check_mode=mutual checker=东村"], &["organisations: org_name=东村", "1 organisations: org_name=西村", "five-good-assessment: check_mode=mutual checker=西村", "five-good-assessment: check_mode=self checker=东村"]),
    ("five-good-assessment.v4", "2012-10-15", &["five-good-assessment: round=initial check_mode=self score_total=95.5", "five-good-assessment: round=initial check_mode=supervisory score_total=80"], &["five-good-assessment: round=initial check_mode=self score_total=95.0", "five-good-assessment: round=initial check_mode=supervisory score_total=80"]),
    ("grading.v1", "2012-10-15", &["grading: round=initial final_grade=average", "grading: round=initial final_grade=advanced"], &["grading: round=initial final_grade=average", "grading: round=final final_grade=advanced"]),
    ("grading.v5", "2012-10-15", &["organisations: established_on=2012-04", "grading: round=initial final_grade=average"], &["organisations: established_on=2012-04", "grading: round=mid final_grade=average"]),
    ("grading.v6", "2012-10-15", &["grading: round=initial final_grade=backward decided_on=2012-04-20"], &["grading: round=initial final_grade=backward decided_on=2012-10-01", "1 grading: round=initial final_grade=backward decided_on=2012-04-20", "1 rectification: plan_approved_on=2012-05-01"]),
    ("grading.composite", "2012-10-15", &["five-good-assessment: round=initial check_mode=self score_total=95.0", "five-good-assessment: round=initial check_mode=mutual score_total=80.0", "five-good-assessment: round=initial check_mode=supervisory score_total=84.0", "grading: round=initial score_total=85.2"], &["five-good-assessment: round=initial check_mode=self score_total=95.0", "five-good-assessment: round=initial check_mode=mutual score_total=80.0", "five-good-assessment: round=initial check_mode=supervisory score_total=84.0", "grading: round=initial score_total=85.0"]),
    ("rectification.v1b", "2012-10-15", &["rectification: status=accepted", "rectification-items: status=doing"], &["rectification: status=accepted", "rectification-items: status=verified"]),
    ("rectification.v1c", "2012-10-15", &["rectification: status=accepted new_grade=advanced", "grading: round=adhoc final_grade=average"], &["rectification: status=accepted new_grade=average", "grading: round=adhoc final_grade=average"]),
    ("rectification.v3", "2012-10-15", &["rectification: status=planned", "rectification: status=applied"], &["rectification: status=planned", "rectification: status=accepted"]),
    ("rectification.v5", "2012-10-15", &["rectification: strategy=换书记", "2 rectification: strategy=换书记"], &["rectification: strategy=换书记", "2 rectification: strategy=建班子", "2 rectification:"]),
    ("rectification.items", "2012-10-15", &["rectification: status=in_progress"], &["rectification: status=in_progress", "rectification-items: problem=班子软"]),
    ("rectification.baseline", "2012-10-15", &["rectification: status=planned", "grading: final_grade=average"], &["rectification: status=planned", "grading: final_grade=backward"]),
    ("rectification-items.v2", "2012-10-15", &["rectification: due_on=2012-09-01", "rectification-items: due_on=2012-09-02"], &["rectification: due_on=2012-09-01", "rectification-items: due_on=2012-09-01"]),
    ("mechanisms.v1", "2012-10-15", &["mechanisms: mechanism_kind=M01 status=adopted", "mechanisms: mechanism_kind=M01 status=operating"], &["mechanisms: mechanism_kind=M01 status=adopted", "mechanisms: mechanism_kind=M01 status=abolished"]),
    ("star-rating.v1", "2012-10-15", &["star-rating: subject_kind=organisation period=2012 final_star=5", "star-rating: subject_kind=organisation period=2012 final_star=4"], &["star-rating: subject_kind=organisation period=2012 final_star=5", "star-rating: subject_kind=organisation period=2011 final_star=4"]),
    ("star-rating.v3", "2012-10-15", &["star-rating: subject_kind=organisation period=2012 final_star=5", "1 star-rating: subject_kind=organisation period=2012 final_star=4", "1 star-rating: subject_kind=organisation period=2012 final_star=4", "1 star-rating: subject_kind=organisation period=2012 final_star=4", "1 star-rating: subject_kind=organisation period=2012 final_star=4", "1 star-rating: subject_kind=organisation period=2012 final_star=4", "1 star-rating: subject_kind=organisation period=2012 final_star=4", "1 star-rating: subject_kind=organisation period=2012 final_star=4", "1 star-rating: subject_kind=organisation period=2012 final_star=4"], &["star-rating: subject_kind=organisation period=2012 final_star=5", "1 star-rating: subject_kind=organisation period=2012 final_star=4", "1 star-rating: subject_kind=organisation period=2012 final_star=4", "1 star-rating: subject_kind=organisation period=2012 final_star=4", "1 star-rating: subject_kind=organisation period=2012 final_star=4", "1 star-rating: subject_kind=organisation period=2012 final_star=4", "1 star-rating: subject_kind=organisation period=2012 final_star=4", "1 star-rating: subject_kind=organisation period=2012 final_star=4", "1 star-rating: subject_kind=organisation period=2012 final_star=4", "1 star-rating: subject_kind=organisation period=2012 final_star=4"]),
    ("democratic-appraisal.v2", "2012-10-15", &["democratic-appraisal: year=2012 result=excellent", "democratic-appraisal: year=2012 result=qualified", "democratic-appraisal: year=2012 result=not_rated"], &["democratic-appraisal: year=2012 result=excellent", "democratic-appraisal: year=2012 result=qualified", "democratic-appraisal: year=2012 result=basic"]),
    ("democratic-appraisal.v3", "2012-10-15", &["democratic-appraisal: name=甲 result=unqualified follow_up=谈话", "unqualified-members: name=乙"], &["democratic-appraisal: name=甲 result=unqualified follow_up=谈话", "unqualified-members: name=甲"]),
    ("citizen-requests.v4b", "2012-10-15", &["citizen-requests: requester=甲 satisfaction=unsatisfied collected_on=2012-05-01"], &["citizen-requests: requester=甲 satisfaction=unsatisfied collected_on=2012-05-01", "citizen-requests: requester=甲 collected_on=2012-06-01"]),
    ("org-life-meetings.v3b", "2012-10-15", &["org-life-meetings: life_kind=general held_at=2012-05-01", "org-life-meetings: life_kind=general held_at=2012-05-01"], &["org-life-meetings: life_kind=general held_at=2012-05-01", "org-life-meetings: life_kind=lecture held_at=2012-05-01"]),
    ("funds.v3", "2012-10-15", &["funds: year=2012 flow=income amount_yuan=1000.10", "funds: year=2012 flow=expense amount_yuan=600.10", "funds: year=2012 flow=expense amount_yuan=400.01"], &["funds: year=2012 flow=income amount_yuan=1000.10", "funds: year=2012 flow=expense amount_yuan=600.10", "funds: year=2012 flow=expense amount_yuan=400.00"]),
    ("hardship-members.v4", "2012-12-31", &["hardship-members: name=甲 recognised=recognised", "assistance-records: name=乙"], &["hardship-members: name=甲 recognised=recognised", "assistance-records: name=甲"]),
    ("assistance-records.v2", "2012-10-15", &["assistance-records: name=甲 given_on=2012-01-10 fund_source=fiscal", "assistance-records: name=甲 given_on=2012-01-10 fund_source=fiscal"], &["assistance-records: name=甲 given_on=2012-01-10 fund_source=fiscal", "assistance-records: name=甲 given_on=2012-01-10 fund_source=donation"]),
    ("assistance-records.funds", "2012-10-15", &["assistance-records: assist_kind=cash fund_source=fiscal amount_yuan=500.00", "funds: flow=expense use=aid source=donation amount_yuan=500"], &["assistance-records: assist_kind=cash fund_source=fiscal amount_yuan=500.00", "funds: flow=expense use=aid source=fiscal amount_yuan=500"]),
    ("demonstration-sites.v1", "2012-10-15", &["demonstration-sites: status=confirmed", "grading: final_grade=average"], &["demonstration-sites: status=confirmed", "grading: final_grade=advanced"]),
    ("commendation-candidates.v1", "2012-10-15", &["commendation-candidates: award_category=community_org year=2012 decision=decided", "1 commendation-candidates: award_category=community_org year=2012 decision=decided", "2 commendation-candidates: award_category=community_org year=2012 decision=decided"], &["commendation-candidates: award_category=community_org year=2012 decision=decided", "2 commendation-candidates: award_category=community_org year=2012 decision=decided"]),
    ("commendation-candidates.v2", "2012-10-15", &["organisations: field=community", "commendation-candidates: award_category=village_org"], &["organisations: field=rural", "commendation-candidates: award_category=village_org"]),
    ("commendation-candidates.v3b", "2012-10-15", &["commendation-candidates: year=2012", "rectification: status=in_progress"], &["commendation-candidates: year=2012", "rectification: status=accepted"]),
    ("inspections.v2b", "2012-10-15", &["0 inspections: target_org=东村 result=fail", "inspection-issues: org_name=西村"], &["0 inspections: target_org=东村 result=fail", "inspection-issues: org_name=东村"]),
    ("three-level-review.v2", "2012-10-15", &["0 three-level-review: year=2012 review_level=village overall=good", "2 three-level-review: year=2012 review_level=village overall=fair", "2 three-level-review: year=2012 review_level=village overall=fair"], &["0 three-level-review: year=2012 review_level=village overall=good", "2 three-level-review: year=2012 review_level=village overall=fair", "2 three-level-review: year=2012 review_level=village overall=fair", "2 three-level-review: year=2012 review_level=village overall=fair"]),
    ("organisations.term", "2012-10-15", &["organisations: field=rural last_election_on=2011-08 next_election_on=2016-09"], &["organisations: field=rural last_election_on=2011-08 next_election_on=2016-08"]),
    ("dispatched-cadres.v2", "2012-12-31", &["0 dispatched-cadres: dispatch_kind=village from_date=2011-05-01 days_in_village=166"], &["0 dispatched-cadres: dispatch_kind=village from_date=2011-05-01 days_in_village=167"]),
    ("four-deliberations.v3b", "2012-10-15", &["four-deliberations: p4_form=villagers p4_due=90 p4_present=45 p4_agree=40"], &["four-deliberations: p4_form=villagers p4_due=90 p4_present=46 p4_agree=24"]),
    ("party-affairs-disclosure.v1", "2012-10-15", &["party-affairs-disclosure: scope=public title=张三138-0000-0000"], &["party-affairs-disclosure: scope=inside title=张三138-0000-0000"]),
    ("member-community-services.v1", "2012-10-15", &["member-community-services: rating=excellent"], &["member-community-services: rating=excellent service=义诊 served_on=2012-05-01"]),
    ("paired-support.v1", "2012-10-15", &["paired-support: status=active from_date=2012-04-01"], &["paired-support: status=active from_date=2012-04-01 activities_count=1"]),
    ("commendation-candidates.publicity", "2012-10-15", &["commendation-candidates: publicised_from=2012-12-01 publicised_to=2012-12-07"], &["commendation-candidates: publicised_from=2012-12-01 publicised_to=2012-12-08"]),
    ("secretaries.v3", "2012-12-31", &["secretaries: competence=incompetent adjust_action=pending"], &["secretaries: competence=incompetent adjust_action=adjusted"]),
];

#[test]
fn rules_see_the_rows_beside_them() {
    let catalogue = Catalogue::builtin();
    let wrong: Vec<String> = CASES
        .iter()
        .flat_map(|(rule, date, broken, sound)| [(rule, date, broken, true), (rule, date, sound, false)])
        .filter(|(rule, date, lines, expected)| breaks(&catalogue, rule, date, lines) != *expected)
        .map(|(rule, _, lines, expected)| format!("{rule} should be {expected} for {lines:?}"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_rule_that_looks_at_other_rows_has_a_case() {
    let catalogue = Catalogue::builtin();
    let cases: BTreeSet<&str> = CASES.iter().map(|(rule, ..)| *rule).collect();
    let others = catalogue.rules().iter().filter(|rule| !rule.beside.is_empty()).map(|rule| rule.id.as_str());
    let without: Vec<&str> = others.filter(|rule| !cases.contains(rule)).collect();
    assert!(without.is_empty(), "{without:?}");
}
