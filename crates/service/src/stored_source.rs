//! Sources in the state: what they are without the password, and the password sealed beside it.

use crate::error::ServiceError;
use crate::record;
use crate::seal::Sealer;
use larder_model::{DatabaseName, Secret, Source};
use larder_state::{State, Write};
use std::collections::BTreeMap;

/// What the password is called among the sealed secrets.
const PASSWORD: &str = "Password";

/// Makes the writes that store a source.
pub(crate) fn writes(source: &Source, sealer: &Sealer) -> Result<Vec<Write>, ServiceError> {
    let key = record::source(&source.name);
    let beside = record::source_secrets(&source.name);
    let bare = Source { password: None, ..source.clone() };
    let sealed = match &source.password {
        None => Write::Delete(beside),
        Some(password) => {
            let secrets = BTreeMap::from([(PASSWORD.to_owned(), password.clone())]);
            Write::Put(beside, sealer.seal(&key, &secrets)?)
        }
    };
    Ok(vec![record::put(key, &bare)?, sealed])
}

/// Makes the writes that remove a source.
pub(crate) fn removal(name: &DatabaseName) -> Vec<Write> {
    vec![Write::Delete(record::source(name)), Write::Delete(record::source_secrets(name))]
}

/// Reads every source.
pub(crate) async fn load(state: &dyn State, sealer: &Sealer) -> Result<Vec<Source>, ServiceError> {
    let mut sources = Vec::new();
    for (_, mut source) in record::all::<Source>(state, record::SOURCES).await? {
        if let Some(sealed) = state.get(&record::source_secrets(&source.name)).await? {
            let mut secrets = sealer.open(&record::source(&source.name), &sealed.value)?;
            source.password = secrets.remove(PASSWORD);
        }
        sources.push(source);
    }
    Ok(sources)
}

/// Keeps the password that is known where only its mask came back.
pub(crate) fn unmask(source: &mut Source, before: Option<&Source>) {
    if source.password.as_ref().is_some_and(Secret::is_mask) {
        source.password = before.and_then(|before| before.password.clone());
    }
}
