// A message centre of node-smpp's. Each line that it prints is what it saw, in JSON; it acts by itself, as the test expects.
const smpp = require('smpp');
const tell = (what) => console.log(JSON.stringify(what));
const hex = (list) => (list ? Buffer.concat(list).toString('hex') : null);

// The example of TS 23.040: two parts of one text, with a header of 8 bits; then one of 16.
const long = 'a'.repeat(140) + ' and so on \u20ac';
const parts = (header, at) => [long.slice(0, at), long.slice(at)].map((message, n) => ({
  udh: Buffer.from([...header, 2, n + 1]),
  message,
}));
const phone = { source_addr_ton: 1, source_addr_npi: 1, source_addr: '19995550123', dest_addr_ton: 3, destination_addr: '72345' };

let count = 0;
const server = smpp.createServer((session) => {
  session.on('error', (error) => tell({ error: String(error) }));
  session.on('close', () => tell({ closed: true }));
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('bind_transceiver', (pdu) => {
    tell({ bound: [pdu.system_id, pdu.password, pdu.system_type, pdu.interface_version] });
    session.send(pdu.response({ system_id: 'node', sc_interface_version: 0x34 }));
  });
  session.on('unbind', (pdu) => {
    session.send(pdu.response(), null, () => session.close());
  });
  session.on('submit_sm', (pdu) => {
    const payload = pdu.message_payload;
    const body = payload || pdu.short_message;
    const number = ++count;
    const id = `node-${number}`;
    tell({
      submit: body.message,
      udh: hex(body.udh),
      payload: !!payload,
      sar: [pdu.sar_msg_ref_num, pdu.sar_total_segments, pdu.sar_segment_seqnum].map((v) => v ?? null),
      coding: pdu.data_coding,
      from: [pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr],
      to: [pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.destination_addr],
      registered: pdu.registered_delivery,
    });
    if (body.message === 'too much') {
      return session.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED }));
    }
    session.send(pdu.response({ message_id: id }), null, () => {
      const receipt = { ...phone, esm_class: smpp.ESM_CLASS.MC_DELIVERY_RECEIPT };
      const parameters = number % 2 === 0 ? { receipted_message_id: id, message_state: 2 } : {};
      const words = `id:${id} sub:001 dlvrd:001 submit date:2612010900 done date:2612010901 stat:DELIVRD err:000 text:${'x'.repeat(20)}`;
      session.deliver_sm({ ...receipt, ...parameters, short_message: number % 2 === 0 ? '' : words }, (resp) => {
        tell({ receipt_answer: resp.command_status, id });
      });
      if (body.message === 'text me') {
        const answered = (resp) => tell({ deliver_answer: resp.command_status });
        session.deliver_sm({ ...phone, short_message: 'short @\u20ac' }, answered);
        session.deliver_sm({ ...phone, short_message: '\u0416\u0443\u043a \ud83d\ude00' }, answered);
        for (const short_message of [...parts([5, 0, 3, 7], 100), ...parts([6, 8, 4, 1, 7], 120)]) {
          session.deliver_sm({ ...phone, short_message }, answered);
        }
        session.deliver_sm({ ...phone, message_payload: long.repeat(3) }, answered);
      }
    });
  });
});
server.listen(0, '127.0.0.1', function () {
  tell({ port: this.address().port });
});
process.stdin.on('end', () => process.exit(0)).resume();
