//! An attack on masks: whoever puts together all that a role sees gets no identity number back.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use importer::{ReadLimits, workbook::grid::Cell};
use reqwest::{Client, header};
use serde_json::{Value, json};
use server::{Server, auth::Role, doubts, import::import_file};
use sync_protocol::{
    Book, Identity, UnitId,
    checks::{id_card, id_card_check},
    client::Trust,
};
use tests::{county, people, roster, sheet};

const PASSWORD: &str = "correct horse battery";
/// Digits of a number: area, date of birth, sequence, check.
const DIGITS: usize = 18;
/// Below so many possible numbers, one is as good as known.
const CANDIDATES_MIN: usize = 100;

/// Somebody whom nobody knows, and their number.
struct Secret {
    name: String,
    is_woman: bool,
    birth: String,
    number: String,
}

fn secrets() -> Vec<Secret> {
    let family: Vec<char> = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨".chars().collect();
    let given: Vec<char> = "安邦定国兴家立业春夏秋冬东南西北".chars().collect();
    let one = |at: usize| {
        let name = format!("{}{}{}", family[at % 16], given[at * 7 % 16], given[(at / 16 + at * 3) % 16]);
        let (year, month, day) = (1950 + at % 40, 1 + at % 12, 1 + at * 5 % 28);
        let sequence = 100 + at * 13 % 800;
        let first = format!("340099{year}{month:02}{day:02}{sequence:03}");
        let number = format!("{first}{}", id_card_check(&first).expect("17 digits"));
        Secret { name, is_woman: sequence.is_multiple_of(2), birth: format!("{year}-{month:02}-{day:02}"), number }
    };
    (0..48).map(one).collect()
}

/// How many numbers there are that say what is seen: these masked texts, a date of birth, a sex, the county's area code.
fn candidates(masks: &BTreeSet<String>, birth: &str, is_woman: bool) -> BTreeSet<String> {
    let birth: String = birth.chars().filter(char::is_ascii_digit).collect();
    let fits = |number: &str| {
        masks.iter().all(|mask| {
            let is_number = mask.chars().count() == DIGITS;
            !is_number || mask.chars().zip(number.chars()).all(|(shown, digit)| shown == '*' || shown == digit)
        })
    };
    let numbers = (0..1000).filter(|sequence| (sequence % 2 == 0) == is_woman).filter_map(|sequence| {
        let first = format!("340099{birth}{sequence:03}");
        id_card_check(&first).map(|check| format!("{first}{check}"))
    });
    numbers.filter(|number| fits(number) && id_card(number).is_ok()).collect()
}

/// All texts of a workbook, row by row, hidden sheets too.
fn texts(bytes: &[u8]) -> Result<Vec<Vec<String>>> {
    let workbook = importer::read(bytes, &ReadLimits::default())?;
    let mut rows = Vec::new();
    for sheet in &workbook.sheets {
        for index in 0..sheet.row_count() {
            let text = |cell: &Cell| match cell {
                Cell::Text(id) => workbook.texts.get(*id).to_owned(),
                Cell::Number { value, .. } => value.to_string(),
                _ => String::new(),
            };
            rows.push(sheet.row(index).iter().map(|(_, cell)| text(cell)).collect());
        }
    }
    Ok(rows)
}

async fn get(client: &Client, url: String, cookie: &str) -> Result<Value> {
    Ok(client.get(url).header(header::COOKIE, cookie).send().await?.error_for_status()?.json().await?)
}

/// Every text of a JSON document, object by object.
fn objects(value: &Value, rows: &mut Vec<Vec<String>>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| objects(item, rows)),
        Value::Object(fields) => {
            let mut texts = Vec::new();
            for field in fields.values() {
                match field {
                    Value::String(text) => texts.push(text.clone()),
                    Value::Array(items) => {
                        texts.extend(items.iter().filter_map(|item| item["value"].as_str()).map(str::to_owned));
                    }
                    _ => {}
                }
                objects(field, rows);
            }
            rows.push(texts);
        }
        _ => {}
    }
}

async fn imported(server: &Server, folder: &std::path::Path, secrets: &[Secret]) -> Result<UnitId> {
    let code = roster::branch_code(0);
    let header = "党组织编码|姓名|性别|身份证号|出生日期|党员类别|入党时间|联系电话|现居住地";
    let lines = secrets.iter().map(|secret| {
        let sex = if secret.is_woman { "女" } else { "男" };
        format!(
            "{code}|{}|{sex}|{}|{}|正式|2001-05|13900090001|青山镇青石村七组三号院内",
            secret.name, secret.number, secret.birth
        )
    });
    let lines: Vec<String> = lines.collect();
    // Some of them again, without their numbers: doubts.
    let file = folder.join("members.xlsx");
    std::fs::write(&file, sheet::workbook(&[("党员", &format!("{header}\n{}", lines.join("\n")))])?)?;
    import_file(server, &file, "县", &|_, _| {}).await?;
    Ok(county::branch(server, 0))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_role_sees_gives_an_identity_number_back() -> Result<()> {
    let (folder, server) = county::with_branches(1).await?;
    let secrets = secrets();
    let branch = imported(&server, folder.path(), &secrets).await?;
    let url = county::serve(&server).await?;
    let client = Trust::new(None)?.client()?;
    let township = UnitId::derive(&server.tenant, None, "340099100");
    // Numbers in dispute: an office and another one have each corrected them.
    let identity = Identity { unit: branch, book: Book::Unit, period: server.period() };
    let mut offices = Vec::new();
    for name in ["one", "two"] {
        let office = county::device(&server, folder.path(), &url, name, township, &Book::ALL).await?;
        office.exchange(0).await?;
        offices.push(office);
    }
    let by_name: BTreeMap<&str, &Secret> = secrets.iter().map(|secret| (secret.name.as_str(), secret)).collect();
    ensure!(by_name.len() == secrets.len(), "each name once");
    for row in offices[0].rows(&identity, "members").await?.into_iter().take(8) {
        let secret = by_name[row.text("name")];
        for (office, number) in
            offices.iter().zip([secret.number.clone(), secret.number.replacen("340099", "340098", 1)])
        {
            office.save(&identity, "members", row.id, &[("id_card", number.as_str().into())], 0).await?;
        }
    }
    for office in &offices {
        office.exchange(0).await?;
    }
    for (name, role) in
        [("clerk", Role::OfficeClerk), ("officer", Role::TownshipOfficer), ("supervisor", Role::CountySupervisor)]
    {
        let person = people::add(&server, name, role, township, false, PASSWORD).await?;
        let cookie = people::cookie(&server, &person).await?;
        let mut seen = Vec::new();
        for drawn in ["members", "collection"] {
            let request = client.post(format!("{url}/api/returns")).header(header::COOKIE, &cookie);
            let bytes = request.json(&json!({ "name": drawn })).send().await?.error_for_status()?.bytes().await?;
            seen.extend(texts(&bytes)?);
        }
        for path in
            ["/api/conflicts", "/api/changes", "/api/proposals", "/api/indicators", "/api/devices", "/api/units"]
        {
            if (path, role) != ("/api/devices", Role::TownshipOfficer) && path == "/api/devices" {
                continue;
            }
            objects(&get(&client, format!("{url}{path}"), &cookie).await?, &mut seen);
        }
        for row in offices[0].rows(&identity, "members").await? {
            for column in ["name", "gender", "birth_date", "phone", "id_card", "address"] {
                let query = format!("unit={branch}&ledger=members&row={}&column={column}", row.id);
                let request = client.get(format!("{url}/api/history?{query}")).header(header::COOKIE, &cookie);
                let response = request.send().await?;
                if response.status().is_success() {
                    objects(&response.json().await?, &mut seen);
                }
            }
        }
        // What the office's own command line lists.
        objects(&serde_json::to_value(doubts::waiting(&server).await?)?, &mut seen);
        rebuilt_from(&seen, &secrets).with_context(|| name.to_owned())?;
    }
    Ok(())
}

/// Tries to rebuild the numbers from rows of texts that are seen.
fn rebuilt_from(seen: &[Vec<String>], secrets: &[Secret]) -> Result<()> {
    let mut masked = 0;
    for secret in secrets {
        let about: Vec<&String> = seen.iter().filter(|row| row.contains(&secret.name)).flatten().collect();
        ensure!(!about.is_empty(), "{} is seen", secret.name);
        for text in seen.iter().flatten() {
            ensure!(!text.contains(&secret.number), "the number itself: {text}");
            ensure!(!text.contains(&secret.number[10..]), "most of what tells: {text}");
        }
        let masks: BTreeSet<String> =
            about.iter().filter(|text| text.contains('*')).map(|text| (*text).clone()).collect();
        masked += usize::from(!masks.is_empty());
        let found = candidates(&masks, &secret.birth, secret.is_woman);
        ensure!(found.len() >= CANDIDATES_MIN, "{} of {masks:?}: {found:?}", secret.name);
        let of_number = |mask: &&String| mask.chars().count() == DIGITS;
        ensure!(!masks.iter().filter(of_number).any(|mask| mask.contains(&secret.number[14..17])), "{masks:?}");
    }
    ensure!(masked == secrets.len(), "all of them are seen masked");
    Ok(())
}

/// The attack itself works: against the mask that showed six digits and four, each number is the only one.
#[test]
fn what_shows_six_digits_and_four_gives_every_number_back() {
    for secret in secrets() {
        let mask = format!("{}********{}", &secret.number[..6], &secret.number[14..]);
        let found = candidates(&BTreeSet::from([mask]), &secret.birth, secret.is_woman);
        assert_eq!(found, BTreeSet::from([secret.number]));
    }
}
