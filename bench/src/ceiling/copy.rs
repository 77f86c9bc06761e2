//! Binary COPY by hand, in large frames.

use super::parse::Row;
use crate::workload::Work;
use anyhow::{Context, Result};
use bytes::{BufMut, Bytes, BytesMut};
use futures::SinkExt;
use tokio_postgres::Client;

/// Microseconds from 1970 to PostgreSQL's epoch, 2000.
const EPOCH_2000_US: i64 = 946_684_800_000_000;
/// Bytes of one CopyData frame.
const FRAME_BYTES: usize = 256 * 1024;

#[derive(Default)]
pub(crate) struct CopyBuffer {
    bytes: BytesMut,
}

impl CopyBuffer {
    /// The frames of one COPY.
    pub(crate) fn frames(&mut self, work: Work, rows: &[Row]) -> Vec<Bytes> {
        let out = &mut self.bytes;
        let mut frames = Vec::new();
        out.put_slice(b"PGCOPY\n\xff\r\n\0");
        out.put_slice(&[0; 8]);
        for row in rows {
            match work {
                Work::Ticks => tick(out, row),
                Work::Venues | Work::Conditions => trade(out, row),
            }
            if out.len() >= FRAME_BYTES {
                frames.push(out.split().freeze());
            }
        }
        out.put_i16(-1);
        frames.push(out.split().freeze());
        frames
    }
}

/// One COPY, committed.
pub(crate) async fn copy_in(
    client: &Client,
    work: Work,
    rows: &[Row],
    buffer: &mut CopyBuffer,
) -> Result<()> {
    copy_frames(client, work, buffer.frames(work, rows)).await
}

/// The same of frames that are there already.
pub(crate) async fn copy_frames(
    client: &Client,
    work: Work,
    frames: impl IntoIterator<Item = Bytes>,
) -> Result<()> {
    let statement = match work {
        Work::Ticks => "COPY bench.trades (ts, symbol, venue, price, size, side, trade_id) FROM STDIN BINARY",
        Work::Venues | Work::Conditions => {
            "COPY bench.trades (venue, ts, symbol, price, qty, side, trade_id) FROM STDIN BINARY"
        }
    };
    let sink = client.copy_in::<_, Bytes>(statement).await.context("COPY")?;
    let mut sink = std::pin::pin!(sink);
    for frame in frames {
        sink.feed(frame).await?;
    }
    sink.finish().await.context("finish COPY")?;
    Ok(())
}

fn text(out: &mut BytesMut, value: &str) {
    out.put_i32(value.len() as i32);
    out.put_slice(value.as_bytes());
}

fn tick(out: &mut BytesMut, row: &Row) {
    out.put_i16(7);
    out.put_i32(8);
    out.put_i64(row.ts_us - EPOCH_2000_US);
    text(out, &row.symbol);
    text(out, row.venue);
    out.put_i32(8);
    out.put_f64(row.price_f64);
    out.put_i32(8);
    out.put_f64(row.qty_f64);
    text(out, row.side);
    out.put_i32(8);
    out.put_i64(row.trade_id as i64);
}

fn trade(out: &mut BytesMut, row: &Row) {
    out.put_i16(7);
    text(out, row.venue);
    out.put_i32(8);
    out.put_i64(row.ts_us - EPOCH_2000_US);
    text(out, &row.symbol);
    numeric(out, &row.price);
    numeric(out, &row.qty);
    text(out, row.side);
    text(out, &row.trade_id.to_string());
}

/// A plain positive decimal as PostgreSQL's base-10000 digits.
fn numeric(out: &mut BytesMut, value: &str) {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let mut digits = [0_i16; 16];
    let mut count = 0;
    let lead = whole.len() % 4;
    let mut group = 0_i16;
    for (index, byte) in whole.bytes().enumerate() {
        group = group * 10 + i16::from(byte - b'0');
        if (index + 1) % 4 == lead % 4 {
            digits[count] = group;
            count += 1;
            group = 0;
        }
    }
    let weight = count as i16 - 1;
    for chunk in fraction.as_bytes().chunks(4) {
        let mut group = 0_i16;
        for index in 0..4 {
            group = group * 10 + chunk.get(index).map_or(0, |byte| i16::from(byte - b'0'));
        }
        digits[count] = group;
        count += 1;
    }
    while count > 0 && digits[count - 1] == 0 {
        count -= 1;
    }
    out.put_i32(8 + 2 * count as i32);
    out.put_i16(count as i16);
    out.put_i16(weight);
    out.put_i16(0);
    out.put_i16(fraction.len() as i16);
    for digit in &digits[..count] {
        out.put_i16(*digit);
    }
}
