//! Passwords: argon2id, a few at once, and never in a log.

use argon2::{Argon2, PasswordHasher, PasswordVerifier, password_hash::phc::PasswordHash};
use tokio::sync::Semaphore;

use crate::clock;

/// Hashes that are computed at once: each takes 19 MiB and a few dozen milliseconds.
static TURNS: Semaphore = Semaphore::const_new(2);
/// Characters of a password, at least.
const CHARS_MIN: usize = 10;
/// Characters of a password, at most: a longer one only costs.
const CHARS_MAX: usize = 128;
/// Different characters in it, at least.
const DIFFERENT_MIN: usize = 5;

/// Words that are guessed first here, beside those that are guessed first everywhere.
const WORDS: [&str; 12] = [
    "taizhang",
    "台账",
    "台账通",
    "dangwei",
    "dangjian",
    "zuzhibu",
    "mima",
    "woaini",
    "guanliyuan",
    "xiangzhen",
    "admin",
    "password",
];

/// A password that is easily guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Weak {
    /// By its length, its characters, or the name in it.
    #[error(
        "密码应有{CHARS_MIN}至{CHARS_MAX}个字符、至少{DIFFERENT_MIN}种不同字符，且不含登录名 | a password has {CHARS_MIN} to {CHARS_MAX} characters, {DIFFERENT_MIN} different ones, and not the sign-in name"
    )]
    Form,
    /// It has the person's name or the unit's in it.
    #[error("密码不应含本人姓名、单位名称或代码 | a password has neither your name nor your unit's name or code in it")]
    Named,
    /// It is among those that are tried first.
    #[error(
        "密码过于常见或有规律，易被猜中，请换一个（例如几个不相关的词）| a password that is common or follows a pattern is guessed: take another, such as several words that have nothing to do with each other"
    )]
    Common,
    /// It is the one of now, or the one before.
    #[error("新密码不应与现在或上次的密码相同 | a new password is neither the one of now nor the one before it")]
    Again,
}

/// Whether a password that somebody chooses is one that is guessed: common ones, patterns, and whatever has these words in it, which
/// everybody knows who knows the person.
pub async fn check(words: &[&str], password: &str) -> Result<(), Weak> {
    // Two characters are a word in Chinese, and in nothing else.
    let is_word = |word: &&&str| word.chars().count() >= if word.is_ascii() { 4 } else { 2 };
    let lower = password.to_lowercase();
    if words.iter().filter(is_word).any(|word| lower.contains(&word.to_lowercase())) {
        return Err(Weak::Named);
    }
    if password.chars().count() > CHARS_MAX {
        return Err(Weak::Form);
    }
    let words: Vec<String> = words.iter().copied().chain(WORDS).map(str::to_lowercase).collect();
    let score = blocking(move || {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        zxcvbn::zxcvbn(&lower, &words).score()
    });
    if score.await < zxcvbn::Score::Three { Err(Weak::Common) } else { Ok(()) }
}

/// What is stored of a new password.
pub async fn hash(name: &str, password: &str) -> Result<String, Weak> {
    let mut chars: Vec<char> = password.chars().collect();
    let is_named = !name.is_empty() && password.to_lowercase().contains(&name.to_lowercase());
    if chars.len() < CHARS_MIN || chars.len() > CHARS_MAX || is_named {
        return Err(Weak::Form);
    }
    chars.sort_unstable();
    chars.dedup();
    if chars.len() < DIFFERENT_MIN {
        return Err(Weak::Form);
    }
    let password = password.to_owned();
    let salt = clock::random::<16>();
    let hash = move || {
        let hash: PasswordHash = Argon2::default()
            .hash_password_with_salt(password.as_bytes(), &salt)
            .expect("the default parameters and a salt of 16 bytes are valid");
        hash.to_string()
    };
    Ok(blocking(hash).await)
}

/// Whether it is the password of which this is stored. Without anything stored it takes as long, and is not.
pub async fn is_right(password: &str, stored: Option<&str>) -> bool {
    // Nobody has this one, and it costs what everybody's costs: how long an answer takes does not tell who exists.
    const NOBODY: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    if password.chars().count() > CHARS_MAX {
        return false;
    }
    let (password, stored) = (password.to_owned(), stored.unwrap_or(NOBODY).to_owned());
    blocking(move || {
        PasswordHash::new(&stored)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
    })
    .await
}

/// A password for somebody who changes it at once: 16 characters that are read aloud without mistakes.
pub fn new_password() -> String {
    let mut specification = data_encoding::Specification::new();
    specification.symbols.push_str("23456789abcdefghjkmnpqrstuvwxyz#");
    let encoding = specification.encoding().expect("32 different symbols");
    encoding.encode(&clock::random::<10>())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let _turn = TURNS.acquire().await;
    tokio::task::spawn_blocking(work).await.expect("hashing does not panic")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_stored_so_that_only_it_opens() {
        let stored = hash("liming", "青山绿水一二三四五六").await.expect("strong");
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(is_right("青山绿水一二三四五六", Some(&stored)).await);
        for wrong in ["", "青山绿水一二三四五七", &"青".repeat(200)] {
            assert!(!is_right(wrong, Some(&stored)).await, "{wrong}");
        }
        assert!(!is_right("anything at all", None).await);
    }

    #[tokio::test]
    async fn weak_passwords_are_refused() {
        for weak in ["", "short", "aaaaaaaaaaaa", "LiMing2012liming", &"长".repeat(129)] {
            assert_eq!(hash("liming", weak).await, Err(Weak::Form), "{weak}");
        }
        assert!(hash("liming", &new_password()).await.is_ok());
    }

    #[tokio::test]
    async fn passwords_that_are_tried_first_are_refused() {
        let words = ["liming", "李明", "中共青山镇委员会", "340099100", "示范县"];
        for (password, expected) in [
            ("1234567890", Err(Weak::Common)),
            ("password12", Err(Weak::Common)),
            ("Password12!", Err(Weak::Common)),
            ("Aa123456789", Err(Weak::Common)),
            ("qwertyuiop", Err(Weak::Common)),
            ("admin12345", Err(Weak::Common)),
            ("abcdeabcde", Err(Weak::Common)),
            ("woaini1314", Err(Weak::Common)),
            ("1qaz2wsx3edc", Err(Weak::Common)),
            ("taizhang2012", Err(Weak::Common)),
            ("13900001234", Err(Weak::Common)),
            ("19800105abc", Err(Weak::Common)),
            ("xLiMing-88-zq", Err(Weak::Named)),
            ("李明的密码很长很长很长", Err(Weak::Named)),
            ("我在示范县工作三十年", Err(Weak::Named)),
            ("kx340099100tq", Err(Weak::Named)),
            ("correct horse battery", Ok(())),
            ("青山绿水一二三四五六", Ok(())),
            ("村口的老槐树又开花了", Ok(())),
            ("mgx7-tulip-harbor", Ok(())),
        ] {
            assert_eq!(check(&words, password).await, expected, "{password}");
        }
    }
}
