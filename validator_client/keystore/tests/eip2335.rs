//! Keystores against the EIP's own vectors, against wrong fields, and against parameters that would eat the machine.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails its test")]

use bls::SecretKey;
use keystore::{Kdf, Keystore, KeystoreError, Password};
use serde_json::{Value, json};
use std::time::Instant;

const PASSWORD: &str = "𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑";
const SECRET: &str = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";

fn scrypt_vector() -> Value {
    json!({
        "crypto": {
            "kdf": {
                "function": "scrypt",
                "params": {
                    "dklen": 32, "n": 262144, "p": 1, "r": 8,
                    "salt": "d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"
                },
                "message": ""
            },
            "checksum": {
                "function": "sha256", "params": {},
                "message": "d2217fe5f3e9a1e34581ef8a78f7c9928e436d36dacc5e846690a5581e8ea484"
            },
            "cipher": {
                "function": "aes-128-ctr",
                "params": { "iv": "264daa3f303d7259501c93d997d84fe6" },
                "message": "06ae90d55fe0a6e9c5c3bc5b170827b2e5cce3929ed3f116c2811e6366dfe20f"
            }
        },
        "description": "This is a test keystore that uses scrypt to secure the secret.",
        "pubkey": "9612d7a727c9d0a22e185a1c768478dfe919cada9266988cb32359c11f2b7b27f4ae4040902382ae2910c15e2b420d07",
        "path": "m/12381/60/3141592653/589793238",
        "uuid": "1d85ae20-35c5-4611-98e8-aa14a633906f",
        "version": 4
    })
}

fn pbkdf2_vector() -> Value {
    json!({
        "crypto": {
            "kdf": {
                "function": "pbkdf2",
                "params": {
                    "dklen": 32, "c": 262144, "prf": "hmac-sha256",
                    "salt": "d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"
                },
                "message": ""
            },
            "checksum": {
                "function": "sha256", "params": {},
                "message": "8a9f5d9912ed7e75ea794bc5a89bca5f193721d30868ade6f73043c6ea6febf1"
            },
            "cipher": {
                "function": "aes-128-ctr",
                "params": { "iv": "264daa3f303d7259501c93d997d84fe6" },
                "message": "cee03fde2af33149775b7223e7845e4fb2c8ae1792e5f99fe9ecf474cc8c16ad"
            }
        },
        "description": "This is a test keystore that uses PBKDF2 to secure the secret.",
        "pubkey": "9612d7a727c9d0a22e185a1c768478dfe919cada9266988cb32359c11f2b7b27f4ae4040902382ae2910c15e2b420d07",
        "path": "m/12381/60/0/0",
        "uuid": "64625def-3331-4eea-ab6f-782f3ed16a83",
        "version": 4
    })
}

fn parse(document: &Value) -> Result<Keystore, KeystoreError> {
    Keystore::from_json(document.to_string().as_bytes())
}

fn secret_key() -> SecretKey {
    SecretKey::from_bytes(&hex::decode(SECRET).unwrap()).unwrap()
}

#[test]
fn official_vectors_decrypt_to_their_secret_and_survive_a_rewrite() {
    for document in [scrypt_vector(), pbkdf2_vector()] {
        let keystore = parse(&document).unwrap();
        let secret = keystore.decrypt(&Password::new(PASSWORD)).unwrap();
        assert_eq!(hex::encode(secret.to_bytes().as_slice()), SECRET);
        assert_eq!(keystore.to_json(), document);
    }
}

#[test]
fn wrong_password_is_told_from_a_damaged_file() {
    let keystore = parse(&pbkdf2_vector()).unwrap();
    let error = keystore.decrypt(&Password::new("testpassword")).err().unwrap();
    assert!(matches!(error, KeystoreError::WrongPassword), "{error}");
}

#[test]
fn new_keystore_opens_with_its_password_only_and_is_private() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keystore.json");
    let password = Password::new("päßwörd");
    let keystore = Keystore::encrypt(
        &secret_key(),
        &password,
        Kdf::insecure(),
        "m/12381/3600/0/0/0",
        Some("mine"),
    )
    .unwrap();
    keystore.create_file(&path).unwrap();
    assert!(keystore.create_file(&path).is_err(), "a keystore was overwritten");
    let read = Keystore::from_file(&path).unwrap();
    assert_eq!(read, keystore);
    assert_eq!(read.description(), Some("mine"));
    assert_eq!(read.path(), "m/12381/3600/0/0/0");
    // The same password, typed with combining characters.
    let secret = read.decrypt(&Password::new("pa\u{308}ßwo\u{308}rd")).unwrap();
    assert_eq!(hex::encode(secret.to_bytes().as_slice()), SECRET);
    assert!(read.decrypt(&Password::new("passwort")).is_err());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn key_that_is_not_the_one_outside_is_refused() {
    let mut document = pbkdf2_vector();
    document["pubkey"] = json!("ab".repeat(48));
    let error = parse(&document)
        .unwrap()
        .decrypt(&Password::new(PASSWORD))
        .err()
        .unwrap();
    let text = error.to_string();
    assert!(
        text.contains("`pubkey`") && text.contains("0xabab") && text.contains("0x9612d7"),
        "{text}"
    );
}

#[test]
fn errors_name_the_field_and_the_expectation() {
    for (pointer, value, needles) in [
        ("/version", json!(3), ["`version`", "expected 4", "found 3"]),
        ("/version", Value::Null, ["`version`", "integer", "null"]),
        ("/pubkey", json!("abcd"), ["`pubkey`", "48 bytes", "2 bytes"]),
        ("/uuid", json!("x"), ["`uuid`", "UUID", "x"]),
        ("/path", json!(7), ["`path`", "string", "7"]),
        (
            "/crypto/kdf/function",
            json!("argon2"),
            ["`crypto.kdf.function`", "scrypt", "argon2"],
        ),
        (
            "/crypto/kdf/message",
            json!("00"),
            ["`crypto.kdf.message`", "\"\"", "00"],
        ),
        (
            "/crypto/kdf/params/dklen",
            json!(31),
            ["`crypto.kdf.params.dklen`", "32", "31"],
        ),
        (
            "/crypto/kdf/params/prf",
            json!("hmac-md5"),
            ["`crypto.kdf.params.prf`", "hmac-sha256", "hmac-md5"],
        ),
        (
            "/crypto/kdf/params/c",
            json!(-1),
            ["`crypto.kdf.params.c`", "non-negative", "-1"],
        ),
        (
            "/crypto/kdf/params/salt",
            json!("zz"),
            ["`crypto.kdf.params.salt`", "hexadecimal", "z"],
        ),
        (
            "/crypto/checksum/function",
            json!("md5"),
            ["`crypto.checksum.function`", "sha256", "md5"],
        ),
        (
            "/crypto/checksum/message",
            json!("aa"),
            ["`crypto.checksum.message`", "32 bytes", "1 bytes"],
        ),
        (
            "/crypto/cipher/function",
            json!("rot13"),
            ["`crypto.cipher.function`", "aes-128-ctr", "rot13"],
        ),
        (
            "/crypto/cipher/params/iv",
            json!(""),
            ["`crypto.cipher.params.iv`", "16 bytes", "0 bytes"],
        ),
        (
            "/crypto/cipher/message",
            json!(""),
            ["`crypto.cipher.message`", "32 bytes", "\"\""],
        ),
    ] {
        let mut document = pbkdf2_vector();
        *document.pointer_mut(pointer).unwrap() = value;
        let error = parse(&document).unwrap_err().to_string();
        for needle in needles {
            assert!(error.contains(needle), "{pointer}: {needle} is missing in: {error}");
        }
    }
    let error = Keystore::from_json(b"{").unwrap_err().to_string();
    assert!(error.contains("JSON") && error.contains("line 1"), "{error}");
}

#[test]
fn parameters_that_would_eat_memory_or_hours_are_refused_at_once() {
    let start = Instant::now();
    for (name, value) in [
        ("n", 1u64 << 40),
        ("n", 1 << 19),
        ("n", 3),
        ("n", 0),
        ("n", 1),
        ("n", u64::MAX),
        ("r", 1 << 40),
        ("r", 0),
        ("r", 1 << 11),
        ("r", u64::MAX),
        ("p", 0),
        ("p", 1 << 30),
    ] {
        let mut document = scrypt_vector();
        document["crypto"]["kdf"]["params"][name] = json!(value);
        let error = parse(&document).unwrap_err().to_string();
        assert!(error.contains("crypto.kdf.params."), "{name} = {value}: {error}");
    }
    for c in [0, 1 << 40, u64::MAX] {
        let mut document = pbkdf2_vector();
        document["crypto"]["kdf"]["params"]["c"] = json!(c);
        let error = parse(&document).unwrap_err().to_string();
        assert!(error.contains("`crypto.kdf.params.c`"), "{c}: {error}");
    }
    let mut document = pbkdf2_vector();
    document["crypto"]["cipher"]["message"] = json!("00".repeat(5000));
    assert!(parse(&document).is_err());
    // Also when no file is involved.
    let huge = Kdf::Scrypt {
        n: 1 << 40,
        r: 8,
        p: 1,
        salt: Vec::new(),
    };
    assert!(huge.derive(&Password::new("")).is_err());
    assert!(start.elapsed().as_secs() < 5, "something was computed");
}
