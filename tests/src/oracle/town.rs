//! The ledgers of reporting units, and those of communities.

use rand::RngExt;

use super::truth::{Made, Maker};

impl Maker {
    pub(super) fn services(&mut self, own: &Made) {
        if own.field != "community" && !self.chance(20) {
            return;
        }
        for number in 0..self.rng.random_range(2..=8) {
            let collected = self.day(1, 11);
            let due = self.after(&collected, 7, 15);
            let closed = self.after(&collected, 1, 60);
            let closed_on = self.maybe(75, closed.as_str());
            let (told, rated) = (self.after(&closed, 0, 30), self.after(&closed, 5, 50));
            let told = if closed_on.is_empty() { String::new() } else { self.maybe(80, told) };
            let satisfaction = if told.is_empty() { "" } else { self.pick(&["satisfied", "basic", "unsatisfied", ""]) };
            let cells = cells![
                ("request_no", &*format!("{}-{number}", own.name)),
                ("collected_on", &collected),
                (
                    "channel",
                    self.pick(&["visit", "reception", "phone", "box", "online", "grid", "agency", "letter", ""])
                ),
                ("request_kind", self.pick(&["livelihood", "dispute", "policy", "other"])),
                ("is_agency", self.yes_no()),
                ("due_on", &due),
                ("closed_on", &closed_on),
                ("outcome", if closed_on.is_empty() { "" } else { self.pick(&["solved", "explained", "withdrawn"]) }),
                ("publicised_on", &told),
                ("satisfaction", satisfaction),
                ("evaluated_on", if satisfaction.is_empty() { "" } else { &rated }),
            ];
            self.row(own.unit, "citizen-requests", &cells);
        }
        for number in 0..self.rng.random_range(0..=3) {
            let cells = cells![("grid_no", &*number.to_string()), ("grid_branch", self.pick(&["网格党支部", ""]))];
            self.row(own.unit, "grid-cells", &cells);
        }
    }

    pub(super) fn venues(&mut self, own: &Made) {
        if !matches!(own.field, "rural" | "community") || self.chance(25) {
            return;
        }
        let has = self.pick(&["yes", "yes", "yes", "no", ""]);
        let area = self.number(40, 300);
        let cells = cells![
            ("venue_kind", if own.field == "rural" { "village" } else { "community" }),
            ("has_venue", has),
            ("ownership", if has == "yes" { self.pick(&["own", "rent", "borrow", "unclear", ""]) } else { "" }),
            ("area_m2", if has == "yes" { &area } else { "" }),
            ("distance_edu", self.yes_no()),
            ("standard_met", if has == "yes" { self.yes_no() } else { "" }),
            ("plan_build", self.pick(&["new", "extend", "repair", "none", ""])),
            ("invest_plan_wan", &*self.number(0, 900_000)),
            ("invest_done_wan", &*self.number(0, 500_000)),
        ];
        self.row(own.unit, "venues", &cells);
    }

    pub(super) fn town_ledgers(&mut self, town: usize, here: &[Made], all: &[Made]) {
        let cells = cells![
            ("active", self.pick(&["yes", "yes", "no"])),
            ("unit_level", self.pick(&["township", "township", "county_organ", ""])),
        ];
        self.row(town, "reporting-units", &cells);
        self.companies(town, all);
        self.sites(town, all);
        self.floating(town, here, all);
        self.checkins(town, here, all);
        self.training(town, here, all);
        self.posted(town, here);
        self.year_end(town, here);
    }

    fn sites(&mut self, town: usize, all: &[Made]) {
        for own in all.iter().filter(|own| own.town == town) {
            if self.chance(30) {
                let named = self.day(9, 12);
                let status = self.pick(&["nominated", "nurturing", "confirmed", "confirmed"]);
                let cells = cells![
                    ("field", own.field),
                    ("status", status),
                    ("confirmed_on", if status == "confirmed" { self.maybe(90, named) } else { String::new() }),
                ];
                self.row(own.unit, "demonstration-sites", &cells);
            }
        }
    }

    fn companies(&mut self, town: usize, all: &[Made]) {
        for number in 0..self.rng.random_range(3..=9) {
            let formal = self.rng.random_range(0..5);
            let members = formal + self.rng.random_range(0..2);
            let mode = self.pick(&["standalone", "joint", "regional", "industry", "attached", "none", "none"]);
            let formed = self.day(2, 10);
            let name = format!("第{town}-{number}公司");
            let cover = all[self.rng.random_range(0..all.len())].name.clone();
            let cells = cells![
                ("unit_name", name.as_str()),
                ("covering_org", if mode == "none" { String::new() } else { self.maybe(60, cover) }),
                ("unit_kind", self.pick(&["nonpublic", "nonpublic", "social", "farmer_coop", "individual"])),
                ("operating", self.pick(&["yes", "yes", "yes", "no", ""])),
                ("unit_status", self.pick(&["active", "active", "active", "closed"])),
                ("registered_on", &*self.long_ago(2000, 2012)),
                ("above_scale", self.yes_no()),
                ("party_members", &*members.to_string()),
                ("formal_members", &*formal.to_string()),
                ("formation_mode", mode),
                ("formed_on", if mode == "none" { String::new() } else { self.maybe(60, formed) }),
                ("instructor_name", self.pick(&["指导员", ""])),
                ("has_union", self.yes_no()),
                ("has_youth_league", self.yes_no()),
            ];
            self.row(town, "units", &cells);
        }
    }

    fn floating(&mut self, town: usize, here: &[Made], all: &[Made]) {
        for _ in 0..self.rng.random_range(2..=7) {
            // A committee for those who are away keeps rows of other towns' members.
            let around = if self.chance(25) { all } else { here };
            let home = around[self.rng.random_range(0..around.len())].clone();
            let host = all[self.rng.random_range(0..all.len())].name.clone();
            let person = home.people[self.rng.random_range(0..home.people.len())].clone();
            let direction = self.pick(&["out", "out", "in"]);
            let on = if self.chance(40) { self.day(1, 10) } else { self.long_ago(2009, 2011) };
            let back = self.day(5, 12);
            let contact = self.day(1, 12);
            let given: Vec<&str> = ["skill", "job", "legal", "study"].into_iter().filter(|_| self.chance(35)).collect();
            let given = if given.is_empty() { String::new() } else { format!(" {} ", given.join(" ")) };
            let cells = cells![
                ("direction", direction),
                ("name", &person.name),
                ("id_card", &*self.maybe(50, person.card.as_str())),
                (
                    "home_org",
                    if direction == "out" { self.maybe(90, home.name.as_str()) } else { "外地党支部".to_owned() }
                ),
                (
                    "host_org",
                    if direction == "out" {
                        self.pick(&["外地", ""]).to_owned()
                    } else {
                        self.maybe(60, home.name.as_str())
                    }
                ),
                ("flow_on", &on),
                ("floating_org", &*self.maybe(50, host)),
                ("certificate_no", self.pick(&["A1", ""])),
                ("last_contact_on", &*self.maybe(80, contact)),
                ("attends_org_life", self.yes_no()),
                ("service_given", &given),
                ("return_intent", self.pick(&["none", "startup", "post", "done", ""])),
                ("returned_on", &*self.maybe(30, back)),
            ];
            self.row(town, "floating-members", &cells);
        }
    }

    fn checkins(&mut self, town: usize, here: &[Made], all: &[Made]) {
        let communities: Vec<&Made> = here.iter().filter(|own| own.field == "community").collect();
        let employers: Vec<Made> = all.iter().filter(|own| own.field == "agency").cloned().collect();
        for community in communities {
            for _ in 0..self.rng.random_range(3..=10) {
                let employer = employers[self.rng.random_range(0..employers.len())].clone();
                let person = employer.people[self.rng.random_range(0..employer.people.len())].clone();
                let on = if self.chance(70) { self.day(2, 11) } else { "2011-10-10".to_owned() };
                let left = self.chance(20);
                let left_on = self.day(6, 12);
                let card = self.maybe(60, &*person.card);
                let posts: Vec<&str> =
                    ["organisation", "legal", "aid", "health"].into_iter().filter(|_| self.chance(30)).collect();
                let posts = if posts.is_empty() { String::new() } else { format!(" {} ", posts.join(" ")) };
                let cells = cells![
                    ("name", person.name.as_str()),
                    ("id_card", &card),
                    ("employer_org", &employer.name),
                    ("checked_in_on", &on),
                    ("post_kind", &posts),
                    ("kin_household", &*self.number(0, 3)),
                    ("status", if left { "left" } else { self.pick(&["registered", "confirmed"]) }),
                    ("left_on", if left { &left_on } else { "" }),
                ];
                self.row(community.unit, "member-checkins", &cells);
                for _ in 0..self.rng.random_range(0..=2) {
                    let (served, back) = (self.day(3, 12), self.day(11, 12));
                    let rating = self.pick(&["excellent", "competent", "", ""]);
                    let cells = cells![
                        ("checkin_ref", person.name.as_str()),
                        ("served_on", &served),
                        ("hours", &*format!("{}.5", self.rng.random_range(0..6))),
                        ("beneficiaries", &*self.number(0, 9)),
                        ("rating", rating),
                        ("fed_back_on", if rating.is_empty() { String::new() } else { self.maybe(60, back) }),
                    ];
                    self.row(town, "member-community-services", &cells);
                }
            }
        }
    }

    fn training(&mut self, town: usize, here: &[Made], all: &[Made]) {
        // A class of the county, which the first unit holds: its attendance stands where people come from.
        let of_county = "全县书记培训班".to_owned();
        if all.first().is_some_and(|first| first.town == town) {
            let cells = cells![
                ("title", of_county.as_str()),
                ("audience", "secretary"),
                ("training_kind", "class"),
                ("start_on", "2012-05-15"),
                ("attended", "40")
            ];
            self.row_in(town, "training-sessions", &cells, "", false);
        }
        for own in here {
            if self.chance(20) {
                let person = own.people[self.rng.random_range(0..2)].clone();
                let cells = cells![
                    ("session_ref", of_county.as_str()),
                    ("name", &person.name),
                    ("attended", self.pick(&["yes", "yes", "no"])),
                    ("hours", "24"),
                ];
                self.row(own.unit, "training-attendance", &cells);
            }
        }
        for number in 0..self.rng.random_range(1..=4) {
            let start = if self.chance(85) { self.day(1, 12) } else { "2011-11-11".to_owned() };
            let title = format!("第{town}-{number}期培训班");
            let cells = cells![
                ("organiser", "组织办"),
                ("title", title.as_str()),
                ("training_kind", self.pick(&["class", "remote", "theme", "lecture"])),
                ("audience", self.pick(&["secretary", "member", "village_official", "graduate_official", "committee"])),
                ("start_on", &start),
                ("attended", &*self.number(0, 60)),
                ("cost_wan", &*self.number(0, 30_000)),
            ];
            self.row(town, "training-sessions", &cells);
            for own in here {
                if self.chance(50) {
                    continue;
                }
                let person = own.people[self.rng.random_range(0..2)].clone();
                let card = self.maybe(50, &*person.card);
                let cells = cells![
                    ("session_ref", title.as_str()),
                    ("name", &person.name),
                    ("id_card", &card),
                    ("attended", self.pick(&["yes", "yes", "no", ""])),
                    ("hours", &*self.number(2, 16)),
                ];
                let at = if self.chance(80) { own.unit } else { town };
                self.row(at, "training-attendance", &cells);
            }
        }
    }

    fn posted(&mut self, town: usize, here: &[Made]) {
        for _ in 0..self.rng.random_range(1..=5) {
            let person = self.person();
            let target = here[self.rng.random_range(0..here.len())].name.clone();
            let from = if self.chance(50) { self.day(2, 6) } else { "2010-03-01".to_owned() };
            let to = if self.chance(25) { self.day(7, 12) } else { "2013-12-31".to_owned() };
            let back = self.day(7, 12);
            let cells = cells![
                ("dispatch_kind", self.pick(&["village", "village", "enterprise", "instructor"])),
                ("name", person.name.as_str()),
                ("target_org", &target),
                ("from_date", &from),
                ("to_date", &*self.maybe(80, to)),
                ("days_in_village", &*self.number(20, 220)),
                ("projects_count", &*self.number(0, 4)),
                ("funds_wan", &*self.number(0, 400_000)),
                ("links_backward_org", self.yes_no()),
                ("returned_on", &*self.maybe(20, back)),
            ];
            self.row(town, "dispatched-cadres", &cells);
            let (kin, ended) = (self.day(2, 8), self.day(9, 12));
            let status = self.pick(&["active", "active", "ended"]);
            let cells = cells![
                ("pair_kind", self.pick(&["leader_kin", "leader_kin", "agency_village"])),
                ("side_a", person.name.as_str()),
                ("from_date", &kin),
                ("to_date", if status == "ended" { &ended } else { "" }),
                ("status", status),
            ];
            self.row(town, "paired-support", &cells);
        }
    }

    fn year_end(&mut self, town: usize, here: &[Made]) {
        for own in here {
            let on = self.day(11, 12);
            let kind = self.pick(&["self", "self", "county", "spot"]);
            let cells = cells![
                ("target_org", &*self.maybe(95, own.name.as_str())),
                ("inspection_kind", kind),
                ("inspected_on", &on),
                ("score_total", &*self.number(50, 100)),
                ("result", if kind == "county" { self.pick(&["pass", "basic", "fail"]) } else { "" }),
            ];
            self.row(town, "inspections", &cells);
            let (found, solved) = (self.day(2, 5), self.day(5, 12));
            let status = self.pick(&["open", "doing", "resolved"]);
            let resolved = if status == "resolved" { solved.as_str() } else { "" };
            if self.chance(30) {
                let cells = cells![("found_on", found.as_str()), ("status", status), ("resolved_on", resolved)];
                self.row(own.unit, "affiliation-issues", &cells);
                let cells = cells![("issue_no", "1"), ("status", status), ("closed_on", resolved)];
                self.row(own.unit, "inspection-issues", &cells);
            }
            let heard = self.day(12, 12);
            let cells = cells![
                ("year", "2012"),
                ("review_level", self.pick(&["village", "village", "township", "county", "branch"])),
                ("person", own.people[0].name.as_str()),
                ("reported_on", &*self.maybe(80, heard)),
                ("ballots", "30"),
                ("votes_good", &*self.number(0, 30)),
                ("score_total", &*self.number(60, 99)),
                ("overall", self.pick(&["good", "fair", "ordinary", "poor", ""])),
                ("rectify", self.pick(&["整改", ""])),
            ];
            self.row(town, "three-level-review", &cells);
            if self.chance(40) {
                let (shown, decided) = (self.day(11, 11), self.day(12, 12));
                let decision = self.pick(&["recommended", "reviewed", "publicised", "decided", "rejected"]);
                let is_shown = matches!(decision, "publicised" | "decided");
                let cells = cells![
                    ("year", self.pick(&["2012", "2012", "2011"])),
                    ("award_category", self.pick(&["village_org", "community_org", "nonpublic_org"])),
                    ("decision", decision),
                    ("publicised_from", if is_shown { shown.as_str() } else { "" }),
                    ("decided_on", if decision == "decided" { decided.as_str() } else { "" }),
                ];
                self.row(own.unit, "commendation-candidates", &cells);
            }
        }
        for number in 0..6 {
            let (due, formed) = (self.day(3, 12), self.day(3, 12));
            let (done, updated) = (self.day(4, 12), self.day(6, 12));
            let status = self.pick(&["not_started", "in_progress", "done", "done", "cancelled"]);
            let cells = cells![
                ("task_no", &*format!("{town}-{number}")),
                ("project", self.pick(&["P1", "P2", "P3", "P4", "P5", "P6"])),
                ("due_on", &due),
                ("status", status),
                ("done_on", if status == "done" { self.maybe(70, done) } else { String::new() }),
                ("updated_on", &*self.maybe(80, updated)),
            ];
            self.row(town, "project-tasks", &cells);
            let cells = cells![
                ("outcome_kind", self.pick(&["practice", "institution", "theory"])),
                ("formed_on", formed.as_str())
            ];
            self.row(town, "outcomes", &cells);
            let submitted = self.day(3, 12);
            let status = self.pick(&["draft", "submitted", "returned", "approved", "merged"]);
            let cells = cells![
                ("return_no", &*format!("R{:02}", number + 1)),
                ("period", "2012"),
                ("due_on", &due),
                ("submitted_on", if status == "draft" { "" } else { &submitted }),
                ("status", status),
                ("returned_reason", if status == "returned" { "补正" } else { self.pick(&["", "", "补正"]) }),
            ];
            self.row(town, "return-submissions", &cells);
            let (held, listed) = (self.day(2, 5), self.day(1, 6));
            let cells =
                cells![("meeting_kind", self.pick(&["deployment", "study", "joint"])), ("held_on", held.as_str())];
            self.row(town, "work-meetings", &cells);
            let progress = self.pick(&["registered", "preparing", "formed", "cancelled"]);
            let cells = cells![
                ("unit_ref", &*format!("第{town}-{number}公司")),
                ("registered_on", &listed),
                ("due_kind", self.pick(&["due_standalone", "due_joint", "no_member", "exempt"])),
                ("progress", progress),
                ("formed_on", if progress == "formed" { &formed } else { "" }),
            ];
            self.row(town, "unbuilt-units", &cells);
        }
    }
}
