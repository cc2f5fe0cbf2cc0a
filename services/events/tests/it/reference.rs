//! Calls as the reference library of Standard Webhooks sees them.

use crate::{
    receiver::Receiver,
    rig::{Rig, SECRET},
};
use serde_json::json;
use std::process::Stdio;
use tokio::{io::AsyncWriteExt, process::Command};

/// Verifies what it is given, and refuses it with one character changed, with another secret, and when it is old.
const VERIFY: &str = r#"
import json, sys
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
call = json.load(sys.stdin)
headers = call["headers"]
def taken(secret, body, headers):
    try:
        return Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return None
told = taken(call["secret"], call["body"], headers)
assert told is not None, "its signature is not taken"
assert told["type"] == "message.received", told
assert taken(call["new_secret"], call["body"], headers) is not None, "the second signature is not taken"
assert taken(call["secret"], call["body"].replace("message", "massage", 1), headers) is None, "another body is taken"
assert taken("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", call["body"], headers) is None, "another secret is taken"
old = dict(headers, **{"webhook-timestamp": str(int(headers["webhook-timestamp"]) - 600)})
assert taken(call["secret"], call["body"], old) is None, "an old call is taken"
print("verified")
"#;

/// `deploy/dev/check-webhooks` installs the library and runs this.
#[tokio::test]
#[ignore = "needs the PyPI package standardwebhooks, which deploy/dev/check-webhooks installs and names in CCM_STANDARDWEBHOOKS"]
async fn the_reference_library_takes_our_calls() {
    let python =
        std::env::var("CCM_STANDARDWEBHOOKS").expect("deploy/dev/check-webhooks sets CCM_STANDARDWEBHOOKS");
    let (rig, receiver) = (Rig::new().await, Receiver::start().await);
    let webhook = rig.webhook(&receiver.url("ok"), &["message.received"]).await;
    let new = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let until = rig.now() + std::time::Duration::from_secs(3600);
    let db = rig.db.tenant(rig.tenant);
    db.rotate_webhook_secret(webhook, &new.into(), until)
        .await
        .unwrap();
    rig.text(1).await;
    let _worker = rig.work();
    let heard = receiver.wait("ok", 1).await.remove(0);
    let headers: serde_json::Map<_, _> = ["webhook-id", "webhook-timestamp", "webhook-signature"]
        .into_iter()
        .map(|name| (name.to_owned(), json!(heard.header(name))))
        .collect();
    let call = json!({"secret": SECRET, "new_secret": new, "headers": headers, "body": heard.body});
    let mut ran = Command::new(python)
        .args(["-c", VERIFY])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = ran.stdin.take().unwrap();
    stdin.write_all(call.to_string().as_bytes()).await.unwrap();
    drop(stdin);
    let ended = ran.wait_with_output().await.unwrap();
    assert!(
        ended.status.success() && ended.stdout == b"verified\n",
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
}
