// SPDX-License-Identifier: Apache-2.0
'use strict';
/* node-zookeeper-client, the client for Node.js. */

const { spawnSync } = require('child_process');
const zookeeper = require('node-zookeeper-client');
const { CreateMode, Event, Exception, Permission, State } = zookeeper;

const root = `/node-${process.pid}`;
const cases = [];

function test(name, body)
{
	cases.push({ name, body });
}

function same(got, want, what)
{
	const a = JSON.stringify(got), b = JSON.stringify(want);

	if (a !== b)
		throw new Error(`${what}: got ${a}, want ${b}`);
}

/* Reject when nothing settles the promise in time. */
function timed(promise, what, ms = 15000)
{
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`${what}: nothing after ${ms} ms`)), ms);
	});

	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/* Call a method that ends with callback(error, ...results); one result comes bare. */
function call(client, method, ...args)
{
	return timed(new Promise((resolve, reject) => {
		client[method](...args, (error, ...results) => {
			if (error)
				reject(error);
			else
				resolve(results.length > 1 ? results : results[0]);
		});
	}), method);
}

/* A promise of the event, and one of the answer to the call that set the watch. */
function watched(client, method, path)
{
	let answer;
	const event = timed(new Promise((resolve) => {
		answer = call(client, method, path, resolve);
	}), `event for ${path}`);

	return { event, answer };
}

async function code(promise)
{
	try {
		await promise;
	} catch (error) {
		if (typeof error.getCode !== 'function')
			throw error;
		return error.getCode();
	}
	return 0;
}

function connect(options = {})
{
	const client = zookeeper.createClient(process.env.ZK_CONNECT,
		{ sessionTimeout: 10000, ...options });

	return timed(new Promise((resolve) => {
		client.once('connected', () => resolve(client));
		client.connect();
	}), 'connect');
}

async function closed(client)
{
	const gone = timed(new Promise((resolve) => client.once('disconnected', resolve)), 'close');

	client.close();
	await gone;
}

test('create_get_set_remove', async (zk) => {
	const path = `${root}/basic`;

	same(await call(zk, 'create', path, Buffer.from('one')), path, 'created path');
	same(await code(call(zk, 'create', path)), Exception.NODE_EXISTS, 'create again');
	same(await code(call(zk, 'create', `${root}/no/x`)), Exception.NO_NODE, 'create');
	let [data, stat] = await call(zk, 'getData', path);
	same([data.toString(), stat.version, stat.dataLength], ['one', 0, 3], 'getData');
	stat = await call(zk, 'setData', path, Buffer.from('two'));
	same(stat.version, 1, 'version after setData');
	same(await code(call(zk, 'setData', path, Buffer.from('x'), 7)), Exception.BAD_VERSION,
		'setData with a wrong version');
	stat = await call(zk, 'exists', path);
	same(stat.version, 1, 'exists');
	same(await call(zk, 'exists', `${path}-none`), null, 'exists of a missing node');
	await call(zk, 'create', `${path}/a`, Buffer.from(''));
	await call(zk, 'create', `${path}/b`);
	const [names, parent] = await call(zk, 'getChildren', path);
	same(names.sort(), ['a', 'b'], 'children');
	same([parent.numChildren, parent.cversion], [2, 2], 'numChildren and cversion');
	same(await code(call(zk, 'remove', path)), Exception.NOT_EMPTY, 'remove of a parent');
	same(await code(call(zk, 'remove', `${path}/a`, 9)), Exception.BAD_VERSION, 'remove');
	await call(zk, 'removeRecursive', path);
	same(await code(call(zk, 'getData', path)), Exception.NO_NODE, 'getData');
	await call(zk, 'mkdirp', `${path}/p/q/r`);
	same((await call(zk, 'getChildren', `${path}/p/q`))[0], ['r'], 'children after mkdirp');
});

test('create_modes', async (zk) => {
	const path = `${root}/modes`, other = await connect();
	const create = (client, name, mode) => call(client, 'create', `${path}/${name}`,
		Buffer.from(''), mode);

	await call(zk, 'create', path);
	same(await create(other, 'e', CreateMode.EPHEMERAL), `${path}/e`, 'ephemeral');
	same(await create(other, 's', CreateMode.EPHEMERAL_SEQUENTIAL), `${path}/s0000000001`,
		'ephemeral sequential');
	same(await create(other, 's', CreateMode.PERSISTENT_SEQUENTIAL), `${path}/s0000000002`,
		'persistent sequential');
	const { event, answer } = watched(zk, 'exists', `${path}/e`);
	same((await answer).ephemeralOwner.toString('hex'), other.getSessionId().toString('hex'),
		'owner');
	await closed(other);
	same((await event).getType(), Event.NODE_DELETED, 'event at the end of the session');
	same((await call(zk, 'getChildren', path))[0], ['s0000000002'], 'children');
});

test('watches', async (zk) => {
	const path = `${root}/watch`, other = await connect();
	const expect = async (w, change, type, where) => {
		await w.answer;
		await change();
		const event = await w.event;

		same([event.getType(), event.getPath()], [type, where], 'event');
	};

	await expect(watched(zk, 'exists', path), () => call(other, 'create', path),
		Event.NODE_CREATED, path);
	await expect(watched(zk, 'getData', path),
		() => call(other, 'setData', path, Buffer.from('1')),
		Event.NODE_DATA_CHANGED, path);
	await expect(watched(zk, 'getChildren', path), () => call(other, 'create', `${path}/a`),
		Event.NODE_CHILDREN_CHANGED, path);
	await expect(watched(zk, 'exists', `${path}/a`), () => call(other, 'remove', `${path}/a`),
		Event.NODE_DELETED, `${path}/a`);
	await closed(other);
});

test('transaction', async (zk) => {
	const path = `${root}/tx`;
	const results = await call(zk.transaction()
		.create(path, Buffer.from('1'))
		.create(`${path}/s`, null, null, CreateMode.PERSISTENT_SEQUENTIAL)
		.setData(path, Buffer.from('2'))
		.check(path, 1)
		.remove(`${path}/s0000000000`), 'commit');

	same(results.length, 5, 'results');
	same([results[0].path, results[1].path], [path, `${path}/s0000000000`], 'paths');
	same(results[2].stat.version, 1, 'version');
	same(await code(call(zk.transaction().create(`${path}/x`).check(path, 9), 'commit')),
		Exception.BAD_VERSION, 'failed transaction');
	same(await call(zk, 'exists', `${path}/x`), null, 'node of the failed transaction');
});

test('access_control', async (zk) => {
	const path = `${root}/acl`, owner = await connect();
	const auth = [new zookeeper.ACL(Permission.ALL, new zookeeper.Id('auth', ''))];
	const read = [new zookeeper.ACL(Permission.READ, zookeeper.Id.ANYONE_ID_UNSAFE)];

	owner.addAuthInfo('digest', Buffer.from('fred:pw'));
	await call(owner, 'create', path, Buffer.from('x'), auth);
	same(await code(call(zk, 'getData', path)), Exception.NO_AUTH, 'getData');
	same(await code(call(zk, 'setData', path, Buffer.from(''))), Exception.NO_AUTH, 'setData');
	const [acls, stat] = await call(owner, 'getACL', path);
	same([acls.length, acls[0].permission, acls[0].id.scheme, acls[0].id.id.split(':')[0]],
		[1, Permission.ALL, 'digest', 'fred'], 'ACL');
	same(stat.aversion, 0, 'aversion');
	same((await call(owner, 'setACL', path, read, -1)).aversion, 1, 'aversion after setACL');
	same((await call(zk, 'getData', path))[0].toString(), 'x', 'getData after setACL');
	await closed(owner);
});

test('thousand_calls_in_flight', async (zk) => {
	const path = `${root}/flight`;

	await call(zk, 'create', path);
	const names = await Promise.all(Array.from({ length: 500 }, () => call(zk, 'create',
		`${path}/n`, Buffer.from('d'), CreateMode.PERSISTENT_SEQUENTIAL)));

	names.forEach((name, n) => same(name, `${path}/n${String(n).padStart(10, '0')}`, 'name'));
	const data = await Promise.all(names.map((name) => call(zk, 'getData', name)));

	data.forEach(([value, stat]) => same([value.toString(), stat.version], ['d', 0], 'data'));
});

test('large_data', async (zk) => {
	const path = `${root}/large`, sent = Buffer.alloc(1000000);

	for (let i = 0; i < sent.length; i++)
		sent[i] = (i * 31 + i / 251) & 0xff;
	await call(zk, 'create', path, sent);
	const [got, stat] = await call(zk, 'getData', path);

	same([stat.dataLength, sent.equals(got)], [sent.length, true], 'data');
	await call(zk, 'remove', path);
});

test('connection_is_cut', async (zk) => {
	const path = `${root}/cut`, client = await connect();

	await call(client, 'create', path, Buffer.from(''), CreateMode.EPHEMERAL);
	const session = client.getSessionId().toString('hex');
	const { event, answer } = watched(client, 'getData', path);

	await answer;
	const back = [client, zk].map((c) => timed(new Promise(
		(resolve) => c.once('connected', resolve)), 'reconnect'));
	const cut = spawnSync('ss', ['-K', '-t', 'state', 'established', 'dport', '=',
		`:${process.env.ZK_PORT}`]);

	same(cut.status, 0, 'status of ss');
	await Promise.all(back);
	same(client.getSessionId().toString('hex'), session, 'session');
	await call(zk, 'setData', path, Buffer.from('1'));
	same((await event).getType(), Event.NODE_DATA_CHANGED,
		'event of a watch set before the cut');
	await closed(client);
	same(await call(zk, 'exists', path), null, 'ephemeral node after the end of its session');
});

async function main()
{
	const zk = await connect();
	let bad = 0;

	same(zk.getState().code, State.SYNC_CONNECTED.code, 'state');
	await call(zk, 'create', root);
	for (const { name, body } of cases) {
		try {
			await body(zk);
			console.log(`ok ${name}`);
		} catch (error) {
			bad++;
			const at = /client\.js:(\d+):\d+\)?$/m.exec(error.stack || '');

			console.log(`FAIL ${name}: line ${at ? at[1] : '?'}: ` +
				`${error.message || error}`);
		}
	}
	await closed(zk);
	process.exit(bad ? 1 : 0);
}

main().catch((error) => {
	console.log(`FAIL connect: ${error.message || error}`);
	process.exit(1);
});
