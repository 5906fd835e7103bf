use std::collections::BTreeSet;

use sync_protocol::catalogue::{Around, Catalogue, Figure, Neighbours, UnitRows, Window};

use crate::rules::rows;

/// An indicator over some units, on 2012-12-31, as the server computes it: tallies of each unit, summed.
fn figure(catalogue: &Catalogue, id: &str, units: &[UnitRows]) -> Figure {
    let indicator = catalogue.indicator(id).unwrap_or_else(|| panic!("{id}"));
    indicator.figure(|term| {
        let measure = catalogue.measure(&term.measure).expect("loading checks this");
        let wanted = measure.key(&indicator.bound());
        let instances = measure.instances(catalogue, 2012);
        let instance = instances.iter().find(|instance| instance.key == wanted).expect("an instance for every code");
        let mut variables = instance.variables.clone();
        variables.insert("statistics_date".into(), "2012-12-31".into());
        variables.insert("period_start".into(), "2012-01-01".into());
        variables.insert("unit_name".into(), "甲".into());
        let counts = units.iter().flat_map(|rows| {
            let beyond = Neighbours::new(rows.clone(), [measure]);
            let around = Around { township: Some(&beyond), county: Some(&beyond) };
            measure.count_in(rows, around, &variables)
        });
        let inside = |by: &str| match term.window {
            Window::All => true,
            Window::Until => !by.is_empty() && by <= "2012-12-31",
            Window::Codes(ref codes) => codes.iter().any(|code| code == by),
            _ => false,
        };
        counts.filter(|(by, _)| inside(by)).map(|(_, value)| value).sum()
    })
}

const ACTIVE: &str = "organisations: org_status=active org_type=branch field=rural established_on=2000";

/// Indicator, units (rows separated by `|`), numerator, denominator (-1 for a count).
const CASES: &[(&str, &[&str], i64, i64)] = &[
    (
        "I-01",
        &[
            "reporting-units: active=true|work-meetings: meeting_kind=deployment held_on=2012-03-20",
            "reporting-units: active=true|work-meetings: meeting_kind=deployment held_on=2012-04-01",
            "reporting-units: active=false",
        ],
        1,
        2,
    ),
    (
        "I-02",
        &[
            "|five-good-assessment: round=initial check_mode=self",
            "",
            "|five-good-assessment: round=mid check_mode=self",
        ],
        1,
        3,
    ),
    (
        "I-03",
        &[
            "|five-good-assessment: round=initial check_mode=self|five-good-assessment: round=initial check_mode=mutual|five-good-assessment: round=initial check_mode=supervisory",
            "|five-good-assessment: round=initial check_mode=self",
        ],
        1,
        2,
    ),
    ("I-04", &["|grading: round=initial final_grade=average", "|grading: round=initial"], 1, 2),
    ("I-09", &["opinion-collection: opinion_count=10 handled_count=7", "opinion-collection: opinion_count=5"], 7, 15),
    ("I-10", &["affiliation-issues: status=resolved|affiliation-issues: status=open"], 1, 2),
    (
        "I-11",
        &[
            "election-terms: due_on=2012-03 held_on=2012-03-20|election-terms: due_on=2012-03 held_on=2012-04-01|election-terms: due_on=2013-01",
        ],
        1,
        2,
    ),
    (
        "I-15",
        &[
            "unbuilt-units: due_kind=due_joint progress=formed|unbuilt-units: due_kind=due_standalone progress=registered|unbuilt-units: due_kind=no_member progress=formed",
        ],
        1,
        2,
    ),
    ("I-17", &["|leadership-team: party_post=secretary", "|leadership-team: party_post=secretary left_on=2011"], 1, 2),
    (
        "I-18",
        &[
            "|secretaries: year=2012 name=张三 training_times=0|secretaries: year=2012 name=李四 training_times=3|secretaries: year=2011 name=王五|training-sessions: title=甲 start_on=2012-05-01|training-attendance: session_ref=甲 name=张三 attended=true @kept_by=甲|training-attendance: session_ref=甲 name=李四 attended=false",
        ],
        1,
        2,
    ),
    (
        "I-19",
        &[
            "secretaries: year=2012 competence=incompetent adjust_action=adjusted|secretaries: year=2012 competence=incompetent adjust_action=pending|secretaries: year=2012 competence=competent",
        ],
        1,
        2,
    ),
    (
        "I-20",
        &[
            "member-development: admitted_on=2012-07-01|member-development: admitted_on=2011-12-31|member-development: applied_on=2012-01-01",
        ],
        1,
        -1,
    ),
    (
        "I-21",
        &[
            "floating-members: direction=out last_contact_on=2012-07-15|floating-members: direction=out last_contact_on=2012-06-29|floating-members: direction=in last_contact_on=2012-07-15",
        ],
        1,
        2,
    ),
    (
        "I-22",
        &[
            "floating-members: direction=out floating_org=驻沪党支部|floating-members: direction=out|floating-members: direction=out floating_org=甲 returned_on=2012",
        ],
        1,
        2,
    ),
    ("I-23a", &["|grading: round=final final_grade=advanced", "|grading: round=final final_grade=average"], 1, 2),
    (
        "I-24",
        &[
            "members: membership_state=normal id_card=340099198001010013 birth_date=1980 joined_on=2001 member_category=formal formal_on=2002|members: id_card=x birth_date=1980 joined_on=2001 member_category=formal|members: membership_state=deceased",
        ],
        1,
        2,
    ),
    ("I-25", &["dispatched-cadres: batch=五", "dispatched-cadres: batch=五"], 2, -1),
    (
        "I-26",
        &[
            "graduate-village-officials: annual_result=excellent contract_to=2013-07-31|graduate-village-officials: outflow=stay|graduate-village-officials: contract_to=2012-07-31 annual_result=excellent",
        ],
        1,
        2,
    ),
    // Means of 1200 and 1000 yuan: up by a fifth.
    (
        "I-27",
        &[
            "village-officials: year=2012 incumbency=incumbent total_pay=1300.00|village-officials: year=2012 incumbency=incumbent total_pay=1100.00|village-officials: year=2011 incumbency=incumbent total_pay=1000.00",
        ],
        240_000 - 200_000,
        200_000,
    ),
    // 4 + 4 a year for a branch, 12 with a committee, 12 for each of its groups; more meetings than expected do not count.
    (
        "I-36",
        &[
            "organisations: org_status=active org_type=branch committee_seats=3 party_groups=2|org-life-meetings: life_kind=general held_at=2012-01-05|org-life-meetings: life_kind=general held_at=2012-02-05|org-life-meetings: life_kind=general held_at=2012-03-05|org-life-meetings: life_kind=general held_at=2012-04-05|org-life-meetings: life_kind=general held_at=2012-05-05|org-life-meetings: life_kind=group held_at=2012-05-06|org-life-meetings: life_kind=committee held_at=2011-05-06",
        ],
        5,
        44,
    ),
    ("I-28", &["project-tasks: status=done|project-tasks: status=in_progress|project-tasks: status=cancelled"], 1, 2),
    (
        "I-30",
        &[
            "return-submissions: status=submitted due_on=2012-04-25 submitted_on=2012-04-25|return-submissions: status=submitted due_on=2012-04-25 submitted_on=2012-04-26|return-submissions: status=draft due_on=2012-05-25",
        ],
        1,
        3,
    ),
    ("I-29", &["outcomes: title=甲|outcomes: title=乙"], 2, -1),
    (
        "I-33a",
        &["|commitments: subject_kind=organisation published_on=2012-10-25", "|commitments: subject_kind=organisation"],
        1,
        2,
    ),
    (
        "I-33b",
        &[
            "members: name=张三|members: name=李四|members: name=王五 is_lost=true|commitments: subject_kind=member member_name=张三 published_on=2012-10-25|commitments: subject_kind=member member_name=张三 published_on=2012-10-26",
        ],
        1,
        2,
    ),
    (
        "I-34",
        &[
            "commitments: published_on=2012-05-01 due_on=2012-10-01 fulfilment=fulfilled|commitments: published_on=2012-05-01 due_on=2012-10-01 fulfilment=partial|commitments: published_on=2012-05-01 due_on=2013-01-01 fulfilment=fulfilled",
        ],
        1,
        2,
    ),
    (
        "I-35",
        &["|star-rating: subject_kind=organisation final_star=4", "|star-rating: subject_kind=member final_star=5"],
        1,
        2,
    ),
    (
        "I-37",
        &[
            "members: name=张三|members: name=李四|democratic-appraisal: year=2012 participated=true|democratic-appraisal: year=2011 participated=true",
        ],
        1,
        2,
    ),
    (
        "I-38",
        &[
            "|four-deliberations: implement_from=2012-05-10 implement_to=2012-08-01 p1_on=2012-05-01 p2_on=2012-05-01 p3_on=2012-05-05 p4_on=2012-05-08 o1_on=2012-05-09 o2_on=2012-08-05 p3_due=30 p3_present=20 p3_agree=16 p4_due=30 p4_present=20 p4_agree=11|four-deliberations: implement_to=2012-08-01 p1_on=2012-05-01",
        ],
        1,
        2,
    ),
    (
        "I-39",
        &[
            "citizen-requests: collected_on=2012-05-01 closed_on=2012-05-02 outcome=solved|citizen-requests: collected_on=2012-05-01|citizen-requests: collected_on=2012-05-01 outcome=withdrawn",
        ],
        1,
        2,
    ),
    (
        "I-40",
        &[
            "citizen-requests: collected_on=2012-05-01 closed_on=2012-05-02 due_on=2012-05-03 outcome=solved|citizen-requests: collected_on=2012-05-01 closed_on=2012-05-04 due_on=2012-05-03 outcome=solved",
        ],
        1,
        2,
    ),
    (
        "I-41",
        &[
            "citizen-requests: collected_on=2012-05-01 closed_on=2012-05-02 outcome=solved publicised_on=2012-05-05|citizen-requests: collected_on=2012-05-01 closed_on=2012-05-04 outcome=solved",
        ],
        1,
        2,
    ),
    (
        "I-42",
        &[
            "citizen-requests: collected_on=2012-05-01 closed_on=2012-05-03 satisfaction=basic|citizen-requests: collected_on=2012-05-01 closed_on=2012-05-03 satisfaction=unsatisfied|citizen-requests: content=甲",
        ],
        1,
        2,
    ),
    (
        "I-43",
        &[
            "organisations: org_status=active field=agency|members: name=张三 in_service=true|members: name=李四 in_service=true|members: name=王五 in_service=false|member-checkins: name=张三 employer_org=甲 status=confirmed|member-checkins: name=李四 employer_org=甲 status=left|member-checkins: name=王五 employer_org=甲 status=confirmed",
        ],
        1,
        2,
    ),
    (
        "I-44",
        &[
            "member-checkins: name=甲 status=registered|member-checkins: name=乙 status=registered|member-community-services: checkin_ref=甲 served_on=2012-10-01 rating=competent fed_back_on=2012-12-05|member-community-services: checkin_ref=甲 served_on=2012-10-02 rating=competent fed_back_on=2012-12-06",
        ],
        1,
        2,
    ),
    ("I-45", &["|venues: has_venue=true", "|venues: has_venue=false"], 1, 2),
    ("I-46", &["|venues: has_venue=true standard_met=true", "|venues: has_venue=true"], 1, 2),
    (
        "I-47a",
        &[
            "|funds: year=2012 flow=income source=fiscal amount_yuan=1200.50|funds: year=2011 flow=income source=fiscal amount_yuan=1000.00|funds: year=2012 flow=expense source=fiscal amount_yuan=9.00",
        ],
        20_050,
        100_000,
    ),
    (
        "I-47b",
        &[
            "organisations: org_status=active field=community established_on=2000|funds: year=2012 flow=income source=fiscal amount_yuan=12|funds: year=2011 flow=income source=fiscal amount_yuan=10",
            "organisations: org_status=active field=community established_on=2012|funds: year=2012 flow=income source=fiscal amount_yuan=99",
            "|funds: year=2012 flow=income source=fiscal amount_yuan=99",
        ],
        200,
        1_000,
    ),
    (
        "I-47c",
        &[
            "organisations: org_status=active field=two_new two_new_kind=nonpublic established_on=2000|funds: year=2012 flow=income source=fiscal amount_yuan=12|funds: year=2011 flow=income source=fiscal amount_yuan=10",
            "organisations: org_status=active field=two_new two_new_kind=nonpublic established_on=2012|funds: year=2012 flow=income source=fiscal amount_yuan=99",
            "|funds: year=2012 flow=income source=fiscal amount_yuan=99",
        ],
        200,
        1_000,
    ),
    (
        "I-47d",
        &[
            "organisations: org_status=active field=floating established_on=2000|funds: year=2012 flow=income source=fiscal amount_yuan=12|funds: year=2011 flow=income source=fiscal amount_yuan=10",
            "organisations: org_status=active field=floating established_on=2012|funds: year=2012 flow=income source=fiscal amount_yuan=99",
            "|funds: year=2012 flow=income source=fiscal amount_yuan=99",
        ],
        200,
        1_000,
    ),
    (
        "I-52a",
        &[
            "commendation-candidates: year=2012 award_category=town_committee decision=decided|commendation-candidates: year=2012 award_category=village_org decision=decided",
        ],
        1,
        5,
    ),
    (
        "I-52c",
        &[
            "commendation-candidates: year=2012 award_category=community_org decision=decided|commendation-candidates: year=2012 award_category=village_org decision=decided",
        ],
        1,
        2,
    ),
    (
        "I-52d",
        &[
            "commendation-candidates: year=2012 award_category=nonpublic_org decision=decided|commendation-candidates: year=2012 award_category=village_org decision=decided",
        ],
        1,
        20,
    ),
    (
        "I-52e",
        &[
            "commendation-candidates: year=2012 award_category=floating_org decision=decided|commendation-candidates: year=2012 award_category=village_org decision=decided",
        ],
        1,
        5,
    ),
    (
        "I-52f",
        &[
            "commendation-candidates: year=2012 award_category=reserved_6 decision=decided|commendation-candidates: year=2012 award_category=village_org decision=decided",
        ],
        1,
        10,
    ),
    (
        "I-48",
        &[
            "organisations: org_status=active field=two_new|funds: year=2012 flow=income",
            "organisations: org_status=active field=two_new",
        ],
        1,
        2,
    ),
    (
        "I-49",
        &[
            "hardship-members: recognised=recognised year=2012 name=张三|hardship-members: recognised=recognised year=2012 name=李四|assistance-records: name=张三 given_on=2012-07-01|assistance-records: name=张三 given_on=2012-09-01",
        ],
        1,
        2,
    ),
    (
        "I-50",
        &[
            "hardship-members: recognised=recognised exited_on=2012-06-01|hardship-members: recognised=recognised exited_on=2011-06-01",
        ],
        1,
        -1,
    ),
    ("I-51", &["demonstration-sites: status=confirmed|demonstration-sites: status=nurturing"], 1, -1),
    (
        "I-52b",
        &[
            "commendation-candidates: year=2012 award_category=village_org decision=decided|commendation-candidates: year=2012 award_category=village_org decision=rejected",
        ],
        1,
        20,
    ),
    (
        "I-53",
        &[
            "|inspections: inspection_kind=self inspected_on=2012-11-12 target_org=甲|inspections: inspection_kind=self inspected_on=2012-11-13 target_org=甲",
            "",
        ],
        1,
        2,
    ),
    (
        "I-54",
        &[
            "inspections: inspection_kind=county result=pass|inspections: inspection_kind=county result=fail|inspections: inspection_kind=self result=pass",
        ],
        1,
        2,
    ),
    (
        "I-55",
        &[
            "reporting-units: active=true unit_level=township|three-level-review: year=2012 review_level=township reported_on=2012-12-10|three-level-review: year=2012 review_level=county|three-level-review: year=2012 review_level=branch reported_on=2012-12-10",
        ],
        1,
        2,
    ),
];

/// Those whose figures the worked county proves (`vectors`).
const IN_THE_WORKED_COUNTY: [&str; 12] =
    ["I-05", "I-06", "I-07", "I-08", "I-12", "I-13", "I-14", "I-16", "I-23b", "I-23c", "I-31", "I-32"];

#[test]
fn every_indicator_counts_what_it_says() {
    let catalogue = Catalogue::builtin();
    let mut seen: BTreeSet<&str> = IN_THE_WORKED_COUNTY.into();
    for (id, units, numerator, denominator) in CASES {
        let units: Vec<UnitRows> = units
            .iter()
            .map(|unit| {
                // A leading bar stands for an ordinary village branch.
                let lines = unit.split('|').map(|line| if line.is_empty() { ACTIVE } else { line });
                rows(&catalogue, &lines.collect::<Vec<_>>())
            })
            .collect();
        let found = figure(&catalogue, id, &units);
        let expected = (*numerator, (*denominator >= 0).then_some(*denominator));
        assert_eq!((found.numerator, found.denominator), expected, "{id}");
        seen.insert(id);
    }
    let declared: BTreeSet<&str> = catalogue.indicators().iter().map(|i| i.id.as_str()).collect();
    assert_eq!(seen, declared, "every indicator has a case");
}
