//! `taizhang person`.

use anyhow::Context;
use clap::Subcommand;

use super::look::unit_with_code;
use crate::{
    Server,
    auth::Role,
    clock, devices,
    people::{self, Profile},
    returns,
    store::Person as StoredPerson,
};

/// How the first administrator is added.
pub const FIRST: &str = "taizhang person add admin --full-name 系统管理员 --role administrator";

/// What can be done with people.
#[derive(Debug, Subcommand)]
pub enum Person {
    /// 添加，打印初始密码 · Add somebody; prints a first password
    Add {
        /// 登录名 · What they sign in with
        name: String,
        /// 姓名，记入每处修改 · As changes name them
        #[arg(long)]
        full_name: String,
        /// 角色：field-cadre、office-clerk、township-officer、county-supervisor、auditor、administrator · Role
        #[arg(long)]
        role: Role,
        /// 单位编码，默认全县 · Code of the unit; the county if absent
        #[arg(long)]
        unit: Option<String>,
        /// 专人：可见并可填写限制级信息 · A named handler of restricted data
        #[arg(long)]
        handler: bool,
    },
    /// 改姓名、角色、单位或专人；未写的不变。其设备随之改变 · Change somebody, and what their devices may hold; the rest stays
    Change {
        /// 登录名 · What they sign in with
        name: String,
        /// 姓名 · As changes name them
        #[arg(long)]
        full_name: Option<String>,
        /// 角色 · Role
        #[arg(long)]
        role: Option<Role>,
        /// 单位编码 · Code of the unit
        #[arg(long)]
        unit: Option<String>,
        /// 是否专人：true 或 false · Whether they are a named handler of restricted data
        #[arg(long)]
        handler: Option<bool>,
    },
    /// 列出 · List everybody
    List,
    /// 恢复使用；原设备不恢复，须重新登记 · Enable somebody again; their devices stay revoked
    Enable {
        /// 登录名 · What they sign in with
        name: String,
    },
    /// 停用，并停用其设备 · Disable somebody and their devices
    Disable {
        /// 登录名 · What they sign in with
        name: String,
    },
    /// 重设密码 · Give somebody a new first password
    Reset {
        /// 登录名 · What they sign in with
        name: String,
    },
    /// 邀请其手机，打印一次性登记码 · Invite their device; prints a one-time code
    Invite {
        /// 登录名 · What they sign in with
        name: String,
        /// 设备名称 · Name of the device
        #[arg(long, default_value = "手机")]
        device: String,
    },
}

async fn named(server: &Server, name: &str) -> anyhow::Result<StoredPerson> {
    let known = server.store.people().person_by_name(name).await?;
    known.map(|(person, _)| person).with_context(|| format!("没有此登录名 nobody signs in as `{name}`"))
}

/// What they are now.
async fn profile(server: &Server, person: &StoredPerson) -> anyhow::Result<Profile> {
    let unit = server.store.unit(person.unit).await?.context("其单位已不存在 their unit is not there any more")?;
    let StoredPerson { full_name, role, is_handler, .. } = person.clone();
    Ok(Profile { full_name, role, unit, is_handler })
}

async fn in_words(server: &Server, person: &StoredPerson) -> anyhow::Result<String> {
    let unit = server.store.unit(person.unit).await?.map_or_else(String::new, |unit| unit.name);
    let marks = [(person.is_handler, "专人"), (person.is_disabled, "已停用"), (person.has_totp, "验证码")];
    let marks: Vec<&str> = marks.into_iter().filter(|(is, _)| *is).map(|(_, mark)| mark).collect();
    let StoredPerson { name, full_name, role, .. } = person;
    Ok(format!("{name} · {full_name} · {role} · {unit} {}", marks.join(" ")).trim_end().to_owned())
}

/// Carries out one of them.
pub async fn person(server: &Server, command: Person) -> anyhow::Result<bool> {
    match command {
        Person::Add { name, full_name, role, unit, handler } => {
            let unit = match unit {
                Some(code) => unit_with_code(server, &code).await?,
                None => returns::county(server).await?,
            };
            let profile = Profile { full_name, role, unit, is_handler: handler };
            let (_, password) = people::add(server, &name, &profile, "taizhang").await?;
            println!("{password}");
            let role = role.chinese();
            eprintln!(
                "{name}（{role}）的初始密码如上，首次登录须修改 the first password above must be changed at the first sign-in"
            );
        }
        Person::Change { name, full_name, role, unit, handler } => {
            let before = named(server, &name).await?;
            let now = profile(server, &before).await?;
            let wanted = Profile {
                full_name: full_name.unwrap_or_else(|| now.full_name.clone()),
                role: role.unwrap_or(now.role),
                unit: match unit {
                    Some(code) => unit_with_code(server, &code).await?,
                    None => now.unit,
                },
                is_handler: handler.unwrap_or(now.is_handler),
            };
            let is_disabled = before.is_disabled;
            let after = people::change(server, before, &wanted, is_disabled, "taizhang").await?;
            println!("{}", in_words(server, &after).await?);
        }
        Person::Enable { name } => {
            let before = named(server, &name).await?;
            if before.is_disabled {
                let profile = profile(server, &before).await?;
                people::change(server, before, &profile, false, "taizhang").await?;
                println!("已恢复使用 enabled: {name}");
                eprintln!(
                    "原设备仍停用，请重新邀请 the devices stay revoked, invite new ones: taizhang person invite {name}"
                );
            } else {
                println!("没有停用 not disabled: {name}");
            }
        }
        Person::List => {
            for person in server.store.people().everybody().await? {
                println!("{}", in_words(server, &person).await?);
            }
        }
        Person::Disable { name } => {
            let person = named(server, &name).await?;
            if people::disable(server, &person, "taizhang").await? {
                println!("已停用 disabled: {name}");
            } else {
                println!("此前已停用 disabled before: {name}");
            }
        }
        Person::Reset { name } => {
            let person = named(server, &name).await?;
            let password = people::reset(server, &person, "taizhang").await?;
            println!("{password}");
            eprintln!("{name} 的新密码如上，首次登录须修改 the password above must be changed at the next sign-in");
            if person.has_totp {
                eprintln!(
                    "其动态口令已取消，登录后请重新设置 no one-time code is asked for any more: set it up again after signing in"
                );
            }
            if person.is_disabled {
                eprintln!(
                    "注意：该人员已停用，仍不能登录 note: this person is disabled and cannot sign in all the same"
                );
            }
        }
        Person::Invite { name, device } => {
            let person = named(server, &name).await?;
            let invited = devices::invite(server, &person, &device, "taizhang").await?;
            println!("{}", invited.code);
            let until = clock::local(invited.expires_at_ms).strftime("%Y-%m-%d %H:%M");
            eprintln!("登记码如上，只能用一次，有效至 {until} the code above can be used once, until then");
        }
    }
    Ok(true)
}
