//! The guide's example for Rust; the nodes are given as arguments.

use precede_client::{Client, Value};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), precede_client::Error> {
    let client = Client::new(std::env::args().skip(1))?;
    let mut session = client.session();
    session.put("user:1", Value::json(&"Ada")?).await?;
    let mut friend = session.fork();
    if let Some(found) = friend.get("user:1").await? {
        println!("{}", found.value);
    }
    Ok(())
}
