//! The same over pools and transactions of sqlx.

use std::env;

use deadheat_cure::guard::{Leased, Versioned};
use deadheat_cure::{Source, retry, tasks};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use super::{OVER, Publish, policy, unless_lost};

fn pool() -> Result<PgPool, Source> {
    let pool = PgPoolOptions::new().max_connections(2);
    Ok(pool.connect_lazy(&env::var("DATABASE_URL")?)?)
}

/// As `count`.
pub async fn count(racy: bool) -> Result<(), Source> {
    let policy = policy().isolation(retry::Isolation::Serializable);
    let policy = policy.attempts(if racy { 1 } else { 10 });
    retry::transaction(&pool()?, &policy, |mut tx, _| async move {
        let find = sqlx::query_scalar("select n from counter where id = 1");
        let n: i32 = find.fetch_one(&mut tx).await?;
        let write = sqlx::query("update counter set n = $1 where id = 1");
        write.bind(n + 1).execute(&mut tx).await?;
        Ok::<_, sqlx::Error>(())
    })
    .await?;
    Ok(())
}

/// As `fence`.
pub async fn fence(racy: bool) -> Result<(), Source> {
    let pool = pool()?;
    let mut connection = pool.acquire().await?;
    let objects = Leased::table("objects");
    let claimed = objects.claim(&mut connection, 1, OVER).await?;
    drop(connection);
    let Some(lease) = &claimed else {
        return Ok(());
    };
    let policy = policy();
    let written = retry::transaction(&pool, &policy, |mut tx, _| async move {
        if !racy {
            lease.hold(&mut tx).await.map_err(Source::from)?;
        }
        let write = sqlx::query("update objects set n = $1 where id = 1");
        write.bind(lease.token()).execute(&mut tx).await?;
        let note = sqlx::query("insert into results (token) values ($1)");
        note.bind(lease.token()).execute(&mut tx).await?;
        Ok::<_, Source>(())
    });
    unless_lost(written.await)
}

/// As `edit`.
pub async fn edit(racy: bool) -> Result<(), Source> {
    let pool = pool()?;
    let find = sqlx::query_as("select n, version from objects where id = 1");
    let (n, version): (i32, i64) = find.fetch_one(&pool).await?;
    let next = &(n + 1);
    let policy = policy();
    let edited = retry::transaction(&pool, &policy, |mut tx, _| async move {
        if racy {
            let write = "update objects set n = $1, version = version + 1 where id = 1";
            sqlx::query(write).bind(next).execute(&mut tx).await?;
        } else {
            let objects = Versioned::table("objects");
            objects.update(&mut tx, &1, version, &[("n", next)]).await?;
        }
        let note = sqlx::query("insert into results (token) values (1)");
        note.execute(&mut tx).await?;
        Ok::<_, Source>(())
    });
    unless_lost(edited.await)
}

/// As `open`, in a transaction of sqlx' own.
pub async fn open(racy: bool) -> Result<(), Source> {
    let pool = pool()?;
    if racy {
        let mut tx = pool.begin().await?;
        tasks::enqueue(&mut tx, &Publish {}).await?;
        tx.commit().await?;
    }
    let mut tx = pool.begin().await?;
    let open = sqlx::query("insert into demands (state) values ('open')");
    open.execute(&mut *tx).await?;
    if !racy {
        tasks::enqueue(&mut tx, &Publish {}).await?;
    }
    Ok(tx.commit().await?)
}
