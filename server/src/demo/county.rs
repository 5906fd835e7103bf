//! A synthetic county: nobody in it exists. The area code of every identity number, 340099, is not allocated.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use sync_protocol::checks::id_card_check;

pub(super) const TOWNS: usize = 20;
pub(super) const BRANCHES_PER_TOWN: usize = 20;
/// On average; branches differ.
pub(super) const MEMBERS_PER_BRANCH: usize = 30;

const TOWN_NAMES: [&str; TOWNS] = [
    "青山镇",
    "白水镇",
    "云岭镇",
    "石桥镇",
    "柳河镇",
    "东湖镇",
    "南塘镇",
    "北坡镇",
    "双溪镇",
    "龙泉镇",
    "杨店镇",
    "清河镇",
    "高庙镇",
    "新集镇",
    "枫林镇",
    "沙湾乡",
    "竹园乡",
    "马岗乡",
    "花园乡",
    "临江乡",
];
const PLACES: [&str; 40] = [
    "青石", "大塘", "王庄", "李湾", "张洼", "赵楼", "钱庄", "孙岗", "周畈", "吴圩", "郑集", "冯庙", "陈桥", "卫家",
    "蒋冲", "沈坝", "韩店", "杨树", "朱岭", "秦畈", "许塘", "何庄", "吕楼", "施湾", "金岗", "魏集", "陶冲", "姜圩",
    "谢桥", "邹岭", "柏林", "水口", "章畈", "云台", "苏塘", "潘庄", "葛楼", "范湾", "彭岗", "鲁集",
];
const SURNAMES: [&str; 24] = [
    "王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴", "徐", "孙", "胡", "朱", "高", "林", "何", "郭", "马",
    "罗", "欧阳", "宋", "郑", "谢",
];
const GIVEN: [&str; 32] = [
    "伟", "芳", "娜", "秀英", "敏", "静", "丽", "强", "磊", "军", "洋", "勇", "艳", "杰", "娟", "涛", "明", "超",
    "秀兰", "霞", "平", "刚", "桂英", "建国", "建军", "志强", "海燕", "晓东", "玉兰", "德胜", "国庆", "春梅",
];

/// The county.
#[derive(Debug, Clone)]
pub(super) struct County {
    pub(super) towns: Vec<Town>,
}

/// A township and its branches.
#[derive(Debug, Clone)]
pub(super) struct Town {
    pub(super) code: String,
    pub(super) short_name: String,
    pub(super) name: String,
    pub(super) branches: Vec<Branch>,
}

/// A grade of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grade {
    Backward,
    Average,
    Advanced,
}

/// A branch.
#[derive(Debug, Clone)]
pub(super) struct Branch {
    pub(super) code: String,
    pub(super) name: String,
    pub(super) field: &'static str,
    pub(super) two_new_kind: &'static str,
    pub(super) kind: &'static str,
    pub(super) division: String,
    pub(super) established: (i16, i8, i8),
    pub(super) secretary: String,
    pub(super) phone: String,
    pub(super) members: Vec<Member>,
    /// Not graded in the first round if it was established after the cut-off.
    pub(super) initial: Option<Grade>,
    pub(super) last: Grade,
    pub(super) ballots: (i64, i64),
    pub(super) items: Vec<bool>,
}

/// A member.
#[expect(clippy::struct_excessive_bools, reason = "they are four facts of a roster")]
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) female: bool,
    pub(super) id_card: String,
    pub(super) birth: (i16, i8, i8),
    pub(super) ethnic: &'static str,
    pub(super) education: &'static str,
    pub(super) formal: bool,
    pub(super) joined: (i16, i8, i8),
    pub(super) formal_on: Option<(i16, i8, i8)>,
    pub(super) phone: String,
    pub(super) in_service: bool,
    pub(super) hardship: bool,
}

/// The county of a seed.
pub(super) fn county(seed: u64) -> County {
    let mut rng = StdRng::seed_from_u64(seed);
    let towns = (0..TOWNS).map(|index| town(index, &mut rng)).collect();
    County { towns }
}

fn pick<'a, T: ?Sized>(rng: &mut StdRng, choices: &[&'a T]) -> &'a T {
    choices[rng.random_range(0..choices.len())]
}

fn town(index: usize, rng: &mut StdRng) -> Town {
    let short_name = TOWN_NAMES[index].to_owned();
    let code = format!("340099{:03}", if short_name.ends_with('乡') { 200 } else { 100 } + index);
    let branches = (0..BRANCHES_PER_TOWN).map(|branch_index| branch(&code, index, branch_index, rng)).collect();
    Town { name: format!("中共{short_name}委员会"), short_name, code, branches }
}

fn branch(town: &str, town_index: usize, index: usize, rng: &mut StdRng) -> Branch {
    let place = PLACES[(town_index * 7 + index * 3) % PLACES.len()];
    let (name, field, two_new_kind, village) = match index {
        0..=13 => (format!("{place}村党支部"), "农村", "", 200 + index),
        14 | 15 => (format!("{place}社区党支部"), "城市社区", "", 1 + index - 14),
        16 => (format!("{place}商贸有限公司党支部"), "两新组织", "非公企业", 0),
        17 => (format!("{place}种植协会党支部"), "两新组织", "社会组织", 0),
        18 => ("驻沪流动党支部".to_owned(), "流动", "", 0),
        _ => ("机关党支部".to_owned(), "机关", "", 0),
    };
    // Two branches lend each other members, so that the county has a round number of them.
    let size = if index.is_multiple_of(2) { MEMBERS_PER_BRANCH + index } else { MEMBERS_PER_BRANCH - (index - 1) };
    let late = index == 17 && town_index.is_multiple_of(3);
    let established = if late {
        (2012, 6, rng.random_range(1..28))
    } else {
        (rng.random_range(1978..2011), rng.random_range(1..=12), rng.random_range(1..=28))
    };
    let initial = (!late).then(|| match rng.random_range(0..10) {
        0 => Grade::Backward,
        1..=6 => Grade::Average,
        _ => Grade::Advanced,
    });
    let last = match initial {
        None | Some(Grade::Backward) if rng.random_bool(0.8) => Grade::Average,
        Some(Grade::Backward) => Grade::Backward,
        Some(Grade::Average) if rng.random_bool(0.4) => Grade::Advanced,
        Some(Grade::Advanced) if rng.random_bool(0.1) => Grade::Average,
        Some(grade) => grade,
        None => Grade::Average,
    };
    let items = if initial == Some(Grade::Backward) {
        let count = rng.random_range(2..6);
        (0..count).map(|_| last > Grade::Backward || rng.random_bool(0.5)).collect()
    } else {
        Vec::new()
    };
    let valid = rng.random_range(20..60);
    let mut members: Vec<Member> = Vec::new();
    for number in 0..size {
        members.push(member(town_index, index, number, rng));
    }
    Branch {
        code: format!("{:03}-{:03}", town_index + 1, index + 1),
        name,
        field,
        two_new_kind,
        kind: if field == "两新组织" && index == 17 { "联合党支部" } else { "党支部" },
        division: if village > 0 { format!("{town}{village:03}") } else { String::new() },
        established,
        secretary: members[0].name.clone(),
        phone: members[0].phone.clone(),
        members,
        initial,
        last,
        ballots: (valid, valid - rng.random_range(0..5)),
        items,
    }
}

fn member(town: usize, branch: usize, number: usize, rng: &mut StdRng) -> Member {
    let female = rng.random_bool(0.25);
    let birth = (rng.random_range(1935..1991), rng.random_range(1..=12), rng.random_range(1..=28));
    // Different for every member of the county: no two share a birth date and a sequence by chance.
    let sequence = (number * 2 + usize::from(!female) + (town * 20 + branch) * 3) % 1000;
    let sequence = if (sequence % 2 == 1) == female { (sequence + 1) % 1000 } else { sequence };
    // 000 is given to nobody.
    let sequence = if sequence == 0 { 998 } else { sequence };
    let body = format!("340099{:04}{:02}{:02}{sequence:03}", birth.0, birth.1, birth.2);
    let check = id_card_check(&body).expect("17 digits");
    let joined_year = (birth.0 + rng.random_range(19..35)).min(2011);
    let joined = (joined_year, rng.random_range(1..=12), rng.random_range(1..=28));
    let formal = joined_year < 2011;
    Member {
        name: format!("{}{}", pick(rng, &SURNAMES), pick(rng, &GIVEN)),
        female,
        id_card: format!("{body}{check}"),
        birth,
        ethnic: if rng.random_bool(0.03) { pick(rng, &["回族", "满族", "土家族"]) } else { "汉族" },
        education: pick(rng, &["小学", "初中", "初中", "高中", "中专", "大专", "本科"]),
        formal,
        joined,
        formal_on: formal.then_some((joined.0 + 1, joined.1, joined.2)),
        phone: format!(
            "139{:08}",
            (town * 1_000_000 + branch * 10_000 + number * 7 + rng.random_range(0..7)) % 100_000_000
        ),
        in_service: birth.0 > 1955 && rng.random_bool(0.3),
        hardship: rng.random_bool(0.04),
    }
}
