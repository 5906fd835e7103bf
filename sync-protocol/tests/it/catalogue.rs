use sync_protocol::{
    Book,
    catalogue::{Carries, Catalogue, Source},
};

/// The built-in files with one text replaced in one of them; the error's text.
fn broken(file: &str, from: &str, to: &str) -> String {
    let mut sources = Catalogue::builtin_sources();
    let source = sources.iter_mut().find(|s| s.name.ends_with(&format!("/{file}"))).expect("a built-in file");
    assert!(source.text.contains(from), "{file} has no `{from}`");
    source.text = source.text.replacen(from, to, 1);
    Catalogue::load(&sources).expect_err("a mistake").to_string()
}

#[test]
fn the_builtin_catalogue_is_sound() {
    let catalogue = Catalogue::builtin();
    assert_eq!((catalogue.ledgers().len(), catalogue.indicators().len(), catalogue.rules().len()), (51, 66, 180));
    let members = catalogue.ledger("members").expect("members");
    let id_card = members.column("id_card").expect("id_card");
    assert_eq!(members.book_of(id_card), Book::UnitRestricted, "identity numbers live in the restricted twin");
    assert_eq!(catalogue.return_form("r03").map(|form| form.sheets[0].columns.len()), Some(26));
}

#[test]
fn every_ledger_says_what_of_it_goes_on_into_the_next_year() {
    // What is left out would stay behind in silence.
    for source in Catalogue::builtin_sources().iter().filter(|source| source.name.contains("/ledgers/")) {
        assert!(source.text.contains("[ledger.next_year]\ncarries = "), "{}", source.name);
    }
    let catalogue = Catalogue::builtin();
    let carries = |id: &str| catalogue.ledger(id).map(|ledger| ledger.next_year.carries);
    for (id, expected) in [
        ("members", Carries::Standing),
        ("organisations", Carries::Standing),
        ("leadership-team", Carries::Standing),
        ("rectification", Carries::Open),
        ("project-tasks", Carries::Open),
        ("org-life-meetings", Carries::Nothing),
        ("grading", Carries::Nothing),
    ] {
        assert_eq!(carries(id), Some(expected), "{id}");
    }
    let yearly: Vec<&str> = catalogue
        .ledgers()
        .iter()
        .filter(|ledger| ledger.next_year.carries == Carries::Standing && ledger.column("year").is_some())
        .filter(|ledger| ledger.next_year.year.is_none())
        .map(|ledger| ledger.id.as_str())
        .collect();
    assert_eq!(yearly, Vec::<&str>::new(), "a row that is carried into 2013 would say 2012");
}

#[test]
fn mistakes_are_named_with_file_and_line() {
    let cases = [
        ("members.toml", "type = \"person\"", "type = \"persn\"", "members.toml:55: unknown column type `persn`"),
        ("members.toml", "enum:sex", "enum:gender", "members.toml:63: unknown code list `gender`"),
        ("members.toml", "book = \"unit\"", "book = \"village\"", "members.toml:8: unknown book `village`"),
        ("members.toml", "sensitivity = \"S1\"", "sensitivity = \"S7\"", "members.toml:58: unknown variant `S7`"),
        ("members.toml", "[\"党员姓名\", ", "[\"性别\", ", "header `性别` already belongs to column"),
        ("grading.toml", "keys = [[\"round\"]]", "keys = [[\"rond\"]]", "the column `rond`, which does not exist"),
        ("grading.toml", "ref:organisations", "ref:organizations", "unknown ledger `organizations`"),
        (
            "measures/grading.toml",
            "not established_on > $grading_cutoff",
            "not founded_on > $grading_cutoff",
            "measures/grading.toml:7: unknown column `founded_on`",
        ),
        (
            "measures/grading.toml",
            "ledger = \"grading\"",
            "ledger = \"grades\"",
            "measures/grading.toml:13: unknown ledger `grades`",
        ),
        ("measures/grading.toml", "$round", "$rnd", "unknown variable `$rnd`"),
        (
            "r03-grading-summary.toml",
            "measure = \"grade_up\"",
            "measure = \"grade_upp\"",
            "unknown measure `grade_upp`",
        ),
        (
            "r03-grading-summary.toml",
            "ratio = [\"4\", \"2\"]",
            "ratio = [\"40\", \"2\"]",
            "no earlier figure has the number `40`",
        ),
        ("r03-grading-summary.toml", "2 = 4+6+8", "2 = 4+66", "is no relation between columns"),
    ];
    for (file, from, to, expected) in cases {
        let error = broken(file, from, to);
        assert!(error.contains(expected), "{file}: `{from}` → `{to}`\n  {error}\n  does not say: {expected}");
    }
    let error = Catalogue::load(&[Source { name: "county.toml".into(), text: "[ledger]\nid = \n".into() }])
        .expect_err("bad TOML");
    assert!(error.to_string().starts_with("county.toml:2:"), "{error}");
}

#[test]
fn a_county_lays_its_own_files_over_the_builtin_ones() {
    let mut sources = Catalogue::builtin_sources();
    let own = "[parameters]\nconversion_deadline = \"11-08\"\n[[list]]\nid = \"round\"\ntitle = \"t\"\ncodes = [[\"initial\", \"第一轮\"], [\"final\", \"第二轮\"]]\n";
    sources.push(Source { name: "own.toml".into(), text: own.into() });
    let catalogue = Catalogue::load(&sources).expect("sound");
    assert_eq!(catalogue.parameter("conversion_deadline").and_then(|v| v.as_str()), Some("11-08"));
    assert_eq!(catalogue.list("round").map(|list| list.label("final")), Some("第二轮"));
}
