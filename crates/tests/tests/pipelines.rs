//! Long pipelines and large values: everything arrives, whole and in order.

use anyhow::{Context, Result, ensure};
use kevy_tests::client::encode;
use kevy_tests::server::on_each;
use kevy_tests::value::Value;

#[test]
fn a_hundred_thousand_commands_in_one_pipeline() -> Result<()> {
    on_each(&[1, 2, 4], &[], |server| {
        const COUNT: i64 = 100_000;
        let mut frames = Vec::new();
        for number in 0..COUNT {
            match number % 4 {
                0 => encode(&mut frames, &["INCR", "counter"]),
                1 => encode(&mut frames, &["ECHO", &number.to_string()]),
                2 => encode(
                    &mut frames,
                    &["SET", &format!("key:{}", number % 997), &number.to_string()],
                ),
                _ => encode(&mut frames, &["GET", &format!("key:{}", (number - 1) % 997)]),
            }
        }
        let address = server.address();
        let mut client = server.client()?;
        // The server may stop reading until its replies are read, so one side must not do both.
        client.send_raw(&frames[..1])?;
        let rest = frames[1..].to_vec();
        client.send_while_reading(rest, |client| {
            for number in 0..COUNT {
                let expected = match number % 4 {
                    0 => Value::Integer(number / 4 + 1),
                    1 => Value::Bulk(number.to_string().into_bytes()),
                    2 => Value::Simple(b"OK".to_vec()),
                    _ => Value::Bulk((number - 1).to_string().into_bytes()),
                };
                let reply =
                    client.read().with_context(|| format!("reply {number} of {address}"))?;
                ensure!(reply == expected, "reply {number} is {reply:?}, not {expected:?}");
            }
            Ok(())
        })
    })
}

/// Bytes that tell where they belong.
fn body(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at ^ at >> 8 ^ at >> 16) as u8).collect()
}

#[test]
fn values_of_all_sizes_come_back_as_they_went() -> Result<()> {
    on_each(&[1, 2], &[], |server| {
        let mut client = server.client()?;
        let around = |size: usize| [size - 1, size, size + 1];
        let mut sizes = vec![0, 1, 44, 45, 3_000_000, 64 << 20];
        sizes.extend([4096, 16_384, 32_768, 65_536, 1 << 20].into_iter().flat_map(around));
        for size in sizes {
            let value = body(size);
            let key = format!("size:{size}");
            let reply = client.call(&[b"SET" as &[u8], key.as_bytes(), &value])?;
            ensure!(reply.is_ok(), "SET of {size} bytes: {reply:?}");
            let reply = client.call(&["GET", &key])?;
            ensure!(reply.bytes() == Some(value.as_slice()), "GET of {size} bytes");
            assert_eq!(client.call(&["STRLEN", &key])?.integer(), i64::try_from(size).ok());
            client.call(&["DEL", &key])?;
        }
        Ok(())
    })
}

#[test]
fn large_values_within_a_pipeline_and_within_one_command() -> Result<()> {
    on_each(&[1, 2], &[], |server| {
        let value = body(1 << 20);
        let mut client = server.client()?;
        let mut frames = Vec::new();
        encode(&mut frames, &["SET", "before", "1"]);
        encode(&mut frames, &[b"SET" as &[u8], b"large", &value]);
        encode(&mut frames, &["GET", "before"]);
        encode(&mut frames, &[b"MSET" as &[u8], b"a", &value, b"b", &value, b"c", b"small"]);
        encode(&mut frames, &["STRLEN", "b"]);
        encode(&mut frames, &[b"SET" as &[u8], b"large", b"x", b"GET"]);
        encode(&mut frames, &[b"APPEND" as &[u8], b"large", &value]);
        encode(&mut frames, &["GETRANGE", "large", "1", "-1"]);
        encode(&mut frames, &["MGET", "a", "b", "c", "none"]);
        client.send_while_reading(frames, |client| {
            let replies = (0..9).map(|_| client.read()).collect::<Result<Vec<_>>>()?;
            ensure!(replies[0].is_ok() && replies[1].is_ok() && replies[3].is_ok());
            assert_eq!(replies[2].text(), "1");
            assert_eq!(replies[4], Value::Integer(1 << 20));
            ensure!(replies[5].bytes() == Some(value.as_slice()));
            assert_eq!(replies[6], Value::Integer((1 << 20) + 1));
            ensure!(replies[7].bytes() == Some(value.as_slice()));
            let all = replies[8].items().context("MGET")?;
            ensure!(
                all[0].bytes() == Some(value.as_slice())
                    && all[1].bytes() == Some(value.as_slice())
            );
            ensure!(all[2].text() == "small" && all[3] == Value::Null);
            Ok(())
        })
    })
}

#[test]
fn a_value_that_arrives_in_drops_is_stored_whole() -> Result<()> {
    on_each(&[2], &[], |server| {
        let value = body(300_000);
        let mut frame = Vec::new();
        encode(&mut frame, &[b"SET" as &[u8], b"key", &value]);
        encode(&mut frame, &["GET", "key"]);
        let mut client = server.client()?;
        let mut rest = frame.as_slice();
        let mut size = 1;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(size.min(rest.len()));
            client.send_raw(now)?;
            rest = later;
            size = size * 7 % 4099;
        }
        ensure!(client.read()?.is_ok());
        ensure!(client.read()?.bytes() == Some(value.as_slice()));
        Ok(())
    })
}
