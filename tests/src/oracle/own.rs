//! The ledgers that an organisation keeps.

use rand::RngExt;

use super::truth::{Made, Maker, Person};

const KINDS: [&str; 22] = [
    "M01", "M02", "M03", "M04", "M05", "M06", "M07", "M08", "M09", "M10", "M11", "M12", "M13", "M14", "M15", "M16",
    "M17", "M18", "M19", "M20", "M21", "M99",
];
const GRADES: [&str; 3] = ["advanced", "average", "backward"];

impl Maker {
    pub(super) fn own_ledgers(&mut self, own: &Made) {
        for person in &own.people {
            self.member(own, person);
        }
        self.elections(own);
        self.secretary(own);
        self.grades(own);
        self.mechanisms(own);
        self.promises(own);
        self.life(own);
        self.matters(own);
        self.services(own);
        self.venues(own);
        self.money(own);
        self.care(own);
    }

    fn member(&mut self, own: &Made, person: &Person) {
        let joined = match self.rng.random_range(0..12) {
            0 => self.day(3, 11),
            _ => self.long_ago(1970, 2011),
        };
        let category = self.pick(&["formal", "formal", "formal", "formal", "probationary", "入党积极分子"]);
        let formal = if category == "formal" {
            if self.chance(15) { self.day(2, 12) } else { self.long_ago(1972, 2011) }
        } else {
            String::new()
        };
        let state = self.maybe(95, "normal");
        let state = if self.chance(12) {
            self.pick(&["transferred_out", "deceased", "transfer_pending"]).to_owned()
        } else {
            state
        };
        let state_on = if matches!(&*state, "normal" | "") { String::new() } else { self.day(2, 12) };
        let born = self.long_ago(1940, 1990);
        let lost = self.chance(6);
        let lost_on = if lost { self.day(2, 11) } else { String::new() };
        let moved_in = if self.chance(6) { self.day(2, 11) } else { String::new() };
        let floating = if self.chance(8) { "yes" } else { self.pick(&["no", ""]) };
        let card = self.maybe(80, &*person.card);
        // One that nobody has: its check character is wrong.
        let card = if self.chance(5) { format!("{card}?") } else { card };
        let cells = cells![
            ("name", person.name.as_str()),
            ("sex", self.pick(&["1", "2", ""])),
            ("ethnic", self.pick(&["01", "01", "03", ""])),
            ("id_card", &card),
            ("birth_date", &born),
            ("education", self.pick(&["10", "21", "31", "41", "61", "71", "81", "90", ""])),
            ("member_category", category),
            ("joined_on", &joined),
            ("formal_on", &formal),
            ("in_service", self.yes_no()),
            ("membership_state", &state),
            ("state_on", &state_on),
            ("relation_in_on", &moved_in),
            ("is_floating", floating),
            ("is_lost", if lost { "yes" } else { "" }),
            ("lost_on", &lost_on),
        ];
        self.row(own.unit, "members", &cells);
        if category == "probationary" {
            let admitted = if self.chance(60) { self.day(2, 12) } else { self.long_ago(2009, 2011) };
            let admitted = if admitted.len() < 10 { format!("{admitted}-10") } else { admitted };
            let reached = self.pick(&["probationary", "target", ""]);
            let cells = cells![("name", person.name.as_str()), ("dev_stage", reached), ("admitted_on", &admitted)];
            self.row(own.unit, "member-development", &cells);
        }
    }

    fn elections(&mut self, own: &Made) {
        for _ in 0..self.rng.random_range(0..3) {
            let (due, held) = (self.long_ago(2010, 2012), self.day(1, 12));
            let held = self.maybe(70, held);
            let cells = cells![
                ("term_no", self.number(1, 9)),
                ("election_kind", self.pick(&["party", "party", "committee"]).to_owned()),
                ("due_on", due),
                ("held_on", held),
            ];
            self.row(own.unit, "election-terms", &cells);
        }
    }

    fn secretary(&mut self, own: &Made) {
        let person = own.people[0].clone();
        let office = if self.chance(20) { self.day(2, 10) } else { self.long_ago(2003, 2011) };
        if self.chance(70) {
            let left = if self.chance(15) { self.day(3, 11) } else { String::new() };
            let cells = cells![
                ("name", person.name.as_str()),
                ("party_post", "secretary"),
                ("took_office_on", &office),
                ("left_on", &left),
            ];
            self.row(own.unit, "leadership-team", &cells);
        }
        if self.chance(80) {
            let competence = self.pick(&["competent", "competent", "basic", "incompetent", ""]);
            let action =
                if competence == "incompetent" { self.pick(&["adjusted", "pending", "improve", ""]) } else { "none" };
            let adjusted_on = if action == "adjusted" { self.day(4, 11) } else { String::new() };
            self.secretary_row(own, &person, [&office, competence, action, &adjusted_on]);
            if action == "adjusted" && self.chance(60) {
                let next = own.people[1].clone();
                let taken = self.after(&adjusted_on, 0, 20);
                self.secretary_row(own, &next, [&taken, "basic", "none", ""]);
            }
        }
    }

    fn secretary_row(&mut self, own: &Made, person: &Person, [office, competence, action, adjusted]: [&str; 4]) {
        let born = self.long_ago(1948, 1985);
        let contract = self.day(1, 12);
        let contract = self.maybe(60, contract);
        let card = self.maybe(60, &*person.card);
        let typed = self.number(0, 4);
        let cells = cells![
            ("year", "2012"),
            ("name", person.name.as_str()),
            ("id_card", &card),
            ("sex", self.pick(&["1", "2"])),
            ("birth_date", &born),
            ("education", self.pick(&["21", "31", "61", "71", ""])),
            ("source", self.pick(&["elected", "dispatched", "selected", "recruited", "concurrent", "graduate", ""])),
            ("took_office_on", office),
            ("is_dual_post", self.yes_no()),
            ("duty_contract_on", &contract),
            ("competence", competence),
            ("adjust_action", action),
            ("adjusted_on", adjusted),
            ("training_times", &typed),
            ("training_hours", "8"),
        ];
        self.row(own.unit, "secretaries", &cells);
    }

    fn grades(&mut self, own: &Made) {
        let mut before = String::new();
        for (round, from, to) in [("initial", 4, 4), ("mid", 7, 7), ("final", 10, 11)] {
            if self.chance(12) {
                continue;
            }
            let decided = self.day(from, to);
            let grade = self.pick(&GRADES).to_owned();
            let grade = self.maybe(93, grade);
            let rank = |grade: &str| GRADES.iter().position(|known| *known == grade);
            let change = match (rank(&before), rank(&grade)) {
                (None, _) => "new",
                (Some(old), Some(new)) if new < old => "up",
                (Some(old), Some(new)) if new > old => "down",
                (_, None) => "",
                _ => "keep",
            };
            let cells = cells![
                ("round", round),
                ("field", own.field),
                ("final_grade", &grade),
                ("previous_grade", &*self.maybe(90, before.as_str())),
                // What people type is not always what both grades say.
                (
                    "change",
                    match self.rng.random_range(0..10) {
                        _ if round == "initial" => "",
                        0 => "",
                        1 => "keep",
                        _ => change,
                    },
                ),
                ("decided_on", if grade.is_empty() { "" } else { &decided }),
            ];
            self.row(own.unit, "grading", &cells);
            if round == "initial" && grade == "backward" {
                self.rectification(own);
            }
            before = grade;
            for mode in ["self", "mutual", "supervisory"] {
                for _ in 0..self.rng.random_range(0..=2) {
                    let checked = self.day(from, to);
                    let (valid, satisfied) = (self.rng.random_range(10..60), self.rng.random_range(0..10));
                    let cells = cells![
                        ("round", round),
                        ("check_mode", mode),
                        ("checked_on", &checked),
                        ("ballots_valid", &valid.to_string()),
                        ("ballots_satisfied", &(valid - satisfied).to_string()),
                    ];
                    self.row(own.unit, "five-good-assessment", &cells);
                }
            }
        }
    }

    fn rectification(&mut self, own: &Made) {
        let status = self.pick(&["planned", "in_progress", "applied", "accepted", "accepted", "rejected", "extended"]);
        let approved = self.day(5, 5);
        let due = self.day(8, 10);
        let applied = self.day(8, 9);
        let accepted = self.day(9, 11);
        let is_judged = matches!(status, "accepted" | "rejected");
        let cells = cells![
            ("baseline_round", "initial"),
            ("plan_approved_on", &*self.maybe(90, approved)),
            ("due_on", &due),
            ("status", status),
            ("applied_on", if is_judged || status == "applied" { &applied } else { "" }),
            ("accepted_on", if is_judged { &accepted } else { "" }),
            ("new_grade", if status == "accepted" { self.pick(&["average", "advanced"]) } else { "" }),
            ("converted_on", if status == "accepted" { &accepted } else { "" }),
        ];
        self.row(own.unit, "rectification", &cells);
        for number in 1..=self.rng.random_range(1..=4) {
            let verified = self.day(7, 11);
            let status = self.pick(&["open", "doing", "done", "verified", "verified"]);
            let cells = cells![
                ("item_no", &*number.to_string()),
                ("status", status),
                ("verified_on", if status == "verified" { &verified } else { "" }),
            ];
            self.row(own.unit, "rectification-items", &cells);
        }
    }

    fn mechanisms(&mut self, own: &Made) {
        let count = self.pick(&["0", "3", "8", "15", "18"]).parse().unwrap_or(0);
        for _ in 0..count {
            let adopted =
                if self.chance(50) { self.day(2, 11) } else { format!("{}-05-10", self.pick(&["2009", "2011"])) };
            let adopted = self.maybe(90, adopted);
            let kind = self.pick(&KINDS);
            let cells = cells![
                ("mechanism_kind", kind),
                ("adopted_on", &adopted),
                ("status", self.pick(&["adopted", "operating", "operating", "operating", "drafting", "abolished"])),
                ("is_new", self.yes_no()),
                ("review_result", self.pick(&["effective", "partly", "", "not_effective"])),
            ];
            self.row(own.unit, "mechanisms", &cells);
        }
    }

    fn promises(&mut self, own: &Made) {
        for number in 1..=self.rng.random_range(0..=5) {
            let published = self.day(4, 11);
            let published_on = self.maybe(85, published.as_str());
            let (due, done) = (self.after(&published, 20, 120), self.after(&published, 10, 100));
            let of_member = self.chance(60);
            let member = own.people[self.rng.random_range(0..own.people.len())].name.clone();
            let fulfilment = self.pick(&["pending", "fulfilled", "fulfilled", "partial", "unfulfilled"]);
            let cells = cells![
                ("year", "2012"),
                ("item_no", &*number.to_string()),
                ("subject_kind", if of_member { "member" } else { "organisation" }),
                ("member_name", if of_member { &member } else { "" }),
                ("commit_kind", self.pick(&["common", "post", "practical", "two_way"])),
                ("published_on", &published_on),
                ("due_on", &due),
                ("fulfilment", fulfilment),
                ("fulfilled_on", if fulfilment == "fulfilled" { &done } else { "" }),
                ("satisfaction", self.pick(&["satisfied", "basic", "unsatisfied", ""])),
            ];
            self.row(own.unit, "commitments", &cells);
        }
        for (period, from, to) in [("2012-Q1", 4, 5), ("2012-Q3", 10, 11), ("2012", 11, 12)] {
            for member in [None, Some(1), Some(2), Some(3)] {
                if self.chance(if period == "2012" { 75 } else { 35 }) {
                    continue;
                }
                let said = self.day(from, to);
                let star = self.pick(&["5", "4", "3", "2", "1", "0", ""]);
                let cells = cells![
                    ("period", period),
                    ("subject_kind", if member.is_some() { "member" } else { "organisation" }),
                    ("member_name", member.map_or("", |index: usize| own.people[index].name.as_str())),
                    ("final_star", star),
                    ("publicised_on", if star.is_empty() { "" } else { &said }),
                ];
                self.row(own.unit, "star-rating", &cells);
            }
        }
    }

    fn life(&mut self, own: &Made) {
        for month in 1..=12 {
            for kind in ["general", "committee", "group", "lecture", "theme_day"] {
                let often = if kind == "committee" || kind == "group" { 60 } else { 30 };
                if self.chance(often) {
                    let day = self.day(month, month);
                    let due = self.rng.random_range(5..20);
                    let cells = cells![
                        ("life_kind", kind),
                        ("held_at", &*format!("{day}T09:30")),
                        ("due_attend", &*due.to_string()),
                        ("present", &*(due - self.rng.random_range(0..4)).to_string()),
                    ];
                    self.row(own.unit, "org-life-meetings", &cells);
                }
            }
        }
        let held = self.day(11, 12);
        for person in own.people.iter().skip(2) {
            let took_part = self.pick(&["yes", "yes", "yes", "no", ""]);
            let result = self.pick(&["excellent", "qualified", "basic", "unqualified", "not_rated", ""]);
            let cells = cells![
                ("year", "2012"),
                ("held_on", held.as_str()),
                ("name", &person.name),
                ("participated", took_part),
                ("result", result),
            ];
            self.row(own.unit, "democratic-appraisal", &cells);
            if result == "unqualified" {
                let found = self.day(8, 12);
                let result = self.pick(&["correct", "persuade_out", "remove", "expel", "keep", ""]);
                let cells = cells![("name", person.name.as_str()), ("found_on", &found), ("result", result)];
                self.row(own.unit, "unqualified-members", &cells);
            }
        }
    }

    fn matters(&mut self, own: &Made) {
        for number in 1..=self.rng.random_range(0..=4) {
            let mut dates = vec![self.day(1, 10)];
            for _ in 0..7 {
                let last = dates.last().cloned().unwrap_or_default();
                dates.push(self.after(&last, 1, 25));
            }
            if self.chance(15) {
                dates.swap(1, 2);
            }
            let steps = self.rng.random_range(1..=8);
            let done = |step: usize| if step < steps { dates[step].as_str() } else { "" };
            let present = self.rng.random_range(15..=30);
            let (present, agree) = (present.to_string(), (present - self.rng.random_range(0..18)).to_string());
            let wan = format!("{}", self.rng.random_range(1..90) * 1000);
            // A villagers' assembly: of three hundred, some more than half have come, or fewer.
            let is_assembly = self.chance(30);
            let (form, due4, present4, agree4) = if is_assembly {
                let present = self.rng.random_range(120..=240);
                ("villagers", "300", present.to_string(), (present - self.rng.random_range(0..110)).to_string())
            } else {
                (self.pick(&["representatives", "representatives", ""]), "30", present.clone(), agree.clone())
            };
            let begun = done(5).to_owned();
            let begun = self.maybe(70, begun);
            let status = if steps < 4 && self.chance(40) { "rejected" } else { "p4" };
            let cells = cells![
                ("matter_no", &*format!("2012-{number}")),
                ("amount_wan", &*self.maybe(70, wan)),
                ("p1_on", done(0)),
                ("p2_on", done(1)),
                ("p3_on", done(2)),
                ("p3_due", "30"),
                ("p3_present", &present),
                ("p3_agree", &agree),
                ("p4_on", done(3)),
                ("p4_form", form),
                ("p4_due", due4),
                ("p4_present", &present4),
                ("p4_agree", &agree4),
                ("o1_on", done(4)),
                ("implement_from", &begun),
                ("implement_to", done(6)),
                ("o2_on", done(7)),
                ("status", status),
            ];
            self.row(own.unit, "four-deliberations", &cells);
            let shown = self.day(1, 12);
            let cells = cells![("disclosed_from", shown.as_str()), ("feedback_count", &*self.number(0, 5))];
            self.row(own.unit, "party-affairs-disclosure", &cells);
        }
    }

    fn money(&mut self, own: &Made) {
        for _ in 0..self.rng.random_range(0..=6) {
            let year = self.pick(&["2012", "2012", "2011"]);
            let flow = self.pick(&["income", "expense"]);
            let on = self.day(1, 12).replace("2012", year);
            let amount = self.number(100, 90_000);
            let cells = cells![
                ("year", year),
                ("flow", flow),
                (
                    "source",
                    if flow == "income" {
                        self.pick(&["fiscal", "fiscal", "pretax", "dues_return", "donation", "relief_fund", "other"])
                    } else {
                        ""
                    },
                ),
                (
                    "use",
                    if flow == "expense" {
                        self.pick(&["activity", "training", "venue", "pay", "aid", "equipment", "award", "other"])
                    } else {
                        ""
                    },
                ),
                ("amount_yuan", &amount),
                ("occurred_on", &on),
            ];
            self.row(own.unit, "funds", &cells);
        }
        for _ in 0..self.rng.random_range(0..=2) {
            let person = self.person();
            let is_former = self.chance(20);
            let left = self.day(3, 11);
            let year = self.pick(&["2012", "2012", "2011"]);
            let cells = cells![
                ("name", person.name.as_str()),
                ("post", "member"),
                ("incumbency", if is_former { "former" } else { "incumbent" }),
                ("took_office_on", "2008-05"),
                ("left_on", if is_former { &left } else { "" }),
                ("year", year),
                ("total_pay", &*self.number(6000, 20_000)),
                ("pension_insured", self.yes_no()),
            ];
            self.row(own.unit, "village-officials", &cells);
        }
        for _ in 0..self.rng.random_range(0..=1) {
            let person = self.person();
            let from = if self.chance(40) { self.day(2, 8) } else { "2009-08-01".to_owned() };
            let to = match self.rng.random_range(0..3) {
                0 => self.day(3, 11),
                1 => "2014-07-31".to_owned(),
                _ => "2011-07-31".to_owned(),
            };
            let to = if to < from { "2015-07-31".to_owned() } else { to };
            let recruited = from[..4].to_owned();
            let cells = cells![
                ("name", person.name.as_str()),
                ("recruited_year", &recruited),
                ("posted_on", &from),
                ("contract_from", &from),
                ("contract_to", &to),
                ("annual_result", self.pick(&["excellent", "competent", "basic", "incompetent", ""])),
                ("renewal", self.pick(&["renewed", "not_renewed", ""])),
                ("outflow", self.pick(&["civil_service", "stay", "", ""])),
                ("startup_project", self.pick(&["养殖", "", ""])),
            ];
            self.row(own.unit, "graduate-village-officials", &cells);
        }
    }

    fn care(&mut self, own: &Made) {
        for index in 0..self.rng.random_range(0..=3) {
            let name = own.people[index].name.clone();
            let year = self.pick(&["2012", "2012", "2012", "2011"]);
            let on = self.day(2, 9).replace("2012", year);
            let exited = if self.chance(30) { self.day(5, 11) } else { self.maybe(5, "2011-11-11") };
            let cells = cells![
                ("name", name.as_str()),
                ("year", year),
                (
                    "main_cause",
                    self.pick(&["illness", "disability", "disaster", "schooling", "aged", "low_income", "other", ""])
                ),
                ("recognised", self.pick(&["recognised", "recognised", "pending", "rejected"])),
                ("recognised_on", &on),
                ("exited_on", &exited),
            ];
            self.row(own.unit, "hardship-members", &cells);
        }
        for _ in 0..self.rng.random_range(0..=3) {
            let name = own.people[self.rng.random_range(0..4)].name.clone();
            let on = if self.chance(85) { self.day(1, 12) } else { "2011-12-20".to_owned() };
            let named = self.chance(50);
            let cells = cells![
                ("name", name.as_str()),
                ("member_ref", if named { &name } else { "" }),
                ("care_kind", self.pick(&["political", "living", "development"])),
                ("assist_kind", self.pick(&["cash", "goods", "visit"])),
                ("amount_yuan", &*self.number(0, 3000)),
                ("fund_source", self.pick(&["relief_fund", "fiscal", ""])),
                ("given_on", &on),
            ];
            self.row(own.unit, "assistance-records", &cells);
        }
    }
}
