// PouchDB at the same work: two databases of documents. Prints the costs of the items as one line of JSON.
// W1: replication into an empty database; W2: two filled ones with the same ids; W3 to W5: both ways.
const {PouchDB, given} = (() => {
  const given = JSON.parse(process.argv[2]);
  const load = require("module").createRequire(given.modules + "/");
  const PouchDB = load("pouchdb");
  PouchDB.plugin(load("pouchdb-adapter-memory"));
  return {PouchDB, given};
})();
const lines = require("readline").createInterface({input: require("fs").createReadStream(given.rows)});
const LIMITS = {batch_size: 1000, batches_limit: 10};

async function costs(step) {
  const cpu = process.cpuUsage(), began = process.hrtime.bigint();
  await step();
  const used = process.cpuUsage(cpu), wall = Number(process.hrtime.bigint() - began) / 1e9;
  const service = (used.user + used.system) / 1e6;
  const memory = process.resourceUsage().maxRSS / 1024;
  return {service, database: 0, cpu: service, wall, memory};
}

async function rows() {
  const found = [];
  for await (const line of lines) found.push(JSON.parse(line));
  return found;
}

function opened(name) {
  return new PouchDB(`${given.folder}/${name}`, {adapter: given.adapter});
}

async function fill(db, docs) {
  for (let at = 0; at < docs.length; at += 1000) await db.bulkDocs(docs.slice(at, at + 1000));
}

async function edit(db, first, after, suffix) {
  const keys = [];
  for (let n = first; n < after; n++) keys.push(`C${String(n).padStart(8, "0")}`);
  const found = await db.allDocs({keys, include_docs: true});
  await db.bulkDocs(found.rows.map(({doc}) => ({...doc, contact: doc.contact + suffix})));
}

async function assertSame(one, other, conflicts) {
  const all = async (db) => (await db.allDocs()).rows.map(({id, value}) => id + value.rev).join();
  if (await all(one) !== await all(other)) throw new Error("the two sides differ");
  let kept = 0;
  for (const {doc} of (await one.allDocs({include_docs: true, conflicts: true})).rows) if (doc._conflicts) kept += 1;
  if (conflicts !== undefined && kept !== conflicts) throw new Error(`${kept} conflicts instead of ${conflicts}`);
}

async function main() {
  const docs = (await rows()).map((row) => ({_id: row.number, ...row}));
  const found = {};
  const [erp, crm] = [opened("erp"), opened("crm")];
  await fill(erp, docs);
  found.W1 = await costs(() => PouchDB.replicate(erp, crm, LIMITS));
  await PouchDB.sync(erp, crm, LIMITS);
  found.W5 = await costs(() => PouchDB.sync(erp, crm, LIMITS));
  await edit(erp, 0, 500, " A/S");
  await edit(crm, 500, 1000, " A/S");
  found.W3 = await costs(() => PouchDB.sync(erp, crm, LIMITS));
  await assertSame(erp, crm, 0);
  await edit(erp, 1000, 1500, " here");
  await edit(crm, 1400, 1900, " there");
  found.W4 = await costs(() => PouchDB.sync(erp, crm, LIMITS));
  await assertSame(erp, crm, 100);
  await Promise.all([erp.close(), crm.close()]);
  const [one, other] = [opened("one"), opened("other")];
  const tenth = Math.floor(docs.length / 10);
  await fill(one, docs.slice(0, docs.length - tenth));
  await fill(other, docs.slice(tenth).map((doc, n) => ((n + tenth) % 100 ? doc : {...doc, contact: "Somebody Else"})));
  found.W2 = await costs(() => PouchDB.sync(one, other, LIMITS));
  await assertSame(one, other);
  await Promise.all([one.close(), other.close()]);
  console.log(JSON.stringify(found));
}

main().catch((error) => { console.error(error); process.exit(1); });
