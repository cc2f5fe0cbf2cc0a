// An ESME of node-smpp's, against the simulator's message centre: prints what it saw, each line in JSON, and ends by itself.
const smpp = require('smpp');
const tell = (what) => console.log(JSON.stringify(what));
const session = smpp.connect({ host: '127.0.0.1', port: Number(process.argv.at(-1)) });
session.on('error', (error) => tell({ error: String(error) }));
session.on('close', () => { tell({ closed: true }); process.exit(0); });
session.on('enquire_link', (pdu) => session.send(pdu.response()));
session.on('deliver_sm', (pdu) => {
  const body = pdu.message_payload || pdu.short_message;
  tell({
    deliver: body.message,
    udh: body.udh ? Buffer.concat(body.udh).toString('hex') : null,
    esm_class: pdu.esm_class,
    from: pdu.source_addr,
    id: pdu.receipted_message_id ?? null,
    state: pdu.message_state ?? null,
  });
  session.send(pdu.response());
  if (body.message === 'goodbye') {
    session.unbind(() => { tell({ unbound: true }); session.close(); });
  }
});
session.on('connect', () => {
  session.bind_transceiver({ system_id: 'ccm', password: 'secret', interface_version: 0x34 }, (pdu) => {
    tell({ bound: pdu.command_status, system_id: pdu.system_id, version: pdu.sc_interface_version });
    const submit = (fields) => session.submit_sm({
      source_addr_ton: 3, source_addr: '72345', dest_addr_ton: 1, dest_addr_npi: 1, destination_addr: '19995550123',
      registered_delivery: 1, ...fields,
    }, (resp) => tell({ answer: resp.command_status, id: resp.message_id }));
    session.enquire_link((resp) => tell({ enquired: resp.command_status }));
    submit({ short_message: 'hello {\u20ac}' });
    submit({ short_message: '\u0416\u0443\u043a \ud83d\ude00' });
    for (const n of [1, 2, 3]) {
      submit({ short_message: { udh: Buffer.from([5, 0, 3, 9, 3, n]), message: `part ${n} ` } });
    }
    submit({ sar_msg_ref_num: 700, sar_total_segments: 2, sar_segment_seqnum: 2, short_message: 'second' });
    submit({ sar_msg_ref_num: 700, sar_total_segments: 2, sar_segment_seqnum: 1, short_message: 'first ' });
    submit({ message_payload: 'p'.repeat(700) });
    submit({ data_coding: 3, short_message: 'Gr\u00fc\u00dfe' });
    submit({ destination_addr: '', short_message: 'to nobody' });
    session.query_sm({ message_id: 'x' }, (resp) => tell({ query: [resp.command, resp.command_status] }));
  });
});
