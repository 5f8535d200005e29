//! The database itself.

use std::time::Duration;

use diesel::{
    dsl::sql,
    sql_query,
    sql_types::{Bool, Text},
};
use diesel_async::RunQueryDsl;

use super::{DatabaseUrl, Error, connect::Connector};

const CONNECT_LIMIT: Duration = Duration::from_secs(15);

/// Creates a database on the server that `url` connects to, unless it exists.
///
/// # Errors
///
/// [`Error::Unavailable`] when there is no connection; [`Error::Unexpected`] when the
/// user may not create databases, or another process has created it just now.
pub async fn create_database(url: &DatabaseUrl, name: &str) -> Result<(), Error> {
    let mut connection = Connector::new(url, Duration::ZERO, CONNECT_LIMIT)?
        .connect()
        .await
        .map_err(|error| Error::Unavailable(error.into()))?;
    let exists: bool = sql::<Bool>("SELECT EXISTS (SELECT FROM pg_database WHERE datname = ")
        .bind::<Text, _>(name)
        .sql(")")
        .get_result(&mut connection)
        .await?;
    if !exists {
        let quoted = name.replace('"', "\"\"");
        sql_query(format!("CREATE DATABASE \"{quoted}\""))
            .execute(&mut connection)
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{migrate, test_server::TestServer};

    #[tokio::test]
    async fn database_is_created_once_whatever_its_name() {
        let server = TestServer::start();
        let name = r#"a "quoted" name"#;
        for _ in 0..2 {
            create_database(&server.url(), name).await.unwrap();
        }
        let mut url = server.url();
        url.config.dbname(name);
        assert!(!migrate(&url).await.unwrap().is_empty());
    }
}
