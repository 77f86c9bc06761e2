//! The actor between its links.

use super::normalizer;
use crate::normalizer::{Decoder, Normalizer};
use aqueduct_engine::testing::{Harness, RecordsBuilder};

const FIELDS: &str = "select: msg.keep != false\nfields: { id: { type: int64, path: /id } }";

#[tokio::test]
async fn every_batch_goes_out_once_with_its_range_and_rejects_go_first() {
    let mut harness = Harness::new("rows");
    harness.send(RecordsBuilder::new(0, 0).value(r#"{"keep":true,"id":1}"#).value("bad").gap(3).build());
    harness.send(RecordsBuilder::new(0, 5).value(r#"{"keep":false}"#).build());
    harness.send(RecordsBuilder::new(0, 6).gap(4).build());
    harness.close_inputs();
    let decoder = Decoder::new(&normalizer(FIELDS)).unwrap();
    harness.run(Normalizer { decoder, registry: None }).await.unwrap();

    let received = harness.received();
    let ranges: Vec<_> = received.iter().map(|batch| (batch.origin.first, batch.origin.next)).collect();
    assert_eq!(ranges, [(0, 5), (5, 6), (6, 10)]);
    let rows: Vec<_> = received.iter().map(|batch| batch.row_offsets().to_vec()).collect();
    assert_eq!(rows, [vec![0], vec![], vec![]]);
    assert!(received.iter().all(|batch| batch.rows.num_columns() == 3), "columns are there without rows too");
    let letters = harness.letters();
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].offset, letters[0].row, &*letters[0].reason), (1, 0, "not_json"));
    assert_eq!(letters[0].payload.as_deref(), Some(&b"bad"[..]));
    assert_eq!(&*letters[0].actor, "rows");
}
