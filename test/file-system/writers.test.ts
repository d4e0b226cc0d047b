import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  findUntrusted,
  isOfRootOr,
  isReadable,
  replacersOf,
  type TrustedWriters,
  writerProblem,
  writersOf
} from '../../src/file-system/permissions/writers.js'

const [ROOT, USER, OTHER, GROUP] = [0, 1_000, 1_001, 2_000]
const [FILE, FOLDER] = [0o100_000, 0o040_000]

const of = (uid: number, mode: number, gid = GROUP) => ({ uid, gid, mode: FOLDER | mode })

test('the owner, everyone and the group may write, by their bits; root is not named', () => {
  assert.deepEqual(writersOf(of(ROOT, 0o755)), [])
  assert.deepEqual(writersOf(of(USER, 0o555)), [{ uid: USER }], 'an owner can change the mode')
  assert.deepEqual(writersOf(of(ROOT, 0o775)), [{ gid: GROUP }])
  assert.deepEqual(writersOf(of(ROOT, 0o775, ROOT)), [{ gid: ROOT }], 'it may stand for an access control list')
  assert.deepEqual(writersOf(of(USER, 0o777)), [{ uid: USER }, {}, { gid: GROUP }])
  assert.deepEqual(writersOf({ uid: USER, gid: GROUP, mode: FILE | 0o666 }), [{ uid: USER }, {}, { gid: GROUP }])
})

test('in a sticky folder only its owner replaces what others have there, and everyone may add to it', () => {
  assert.deepEqual(replacersOf(of(ROOT, 0o1777)), [])
  assert.deepEqual(replacersOf(of(USER, 0o1777)), [{ uid: USER }])
  assert.deepEqual(writersOf(of(ROOT, 0o1777)), [{}, { gid: GROUP }])
  assert.deepEqual(replacersOf(of(ROOT, 0o777)), [{}, { gid: GROUP }])
})

test('trusted are the users and groups that are named, and everyone is never', () => {
  const untrusted = (mode: number, trust: TrustedWriters, uid = USER) => {
    const found = of(uid, mode)
    return findUntrusted(writersOf(found), found, trust)
  }
  const nobody = { uids: [undefined] }
  assert.deepEqual(untrusted(0o755, nobody, ROOT), undefined)
  assert.deepEqual(untrusted(0o755, nobody), { uid: USER })
  assert.deepEqual(untrusted(0o755, { uids: [OTHER] }), { uid: USER })
  assert.deepEqual(untrusted(0o755, { uids: [OTHER, USER] }), undefined)
  assert.deepEqual(untrusted(0o775, { uids: [USER] }), { gid: GROUP })
  assert.deepEqual(untrusted(0o775, { uids: [USER], gids: [ROOT] }), { gid: GROUP })
  assert.deepEqual(untrusted(0o775, { uids: [USER], gids: [GROUP] }), undefined)
  assert.deepEqual(untrusted(0o777, { uids: [USER], gids: [GROUP], groupsOfOwners: true }), {})
})

test('a trusted user may have given a folder to a group, and root may not', () => {
  const trust = { uids: [USER], groupsOfOwners: true }
  for (const [uid, expected] of [
    [USER, undefined],
    [OTHER, { uid: OTHER }],
    [ROOT, { gid: GROUP }]
  ] as const) {
    const found = of(uid, 0o775)
    assert.deepEqual(findUntrusted(writersOf(found), found, trust), expected)
  }
})

test('a file is read and a folder is entered by its owner, and by others as the bits say', () => {
  const readable = (mode: number, by: { uid?: number; gid?: number }, groups?: readonly number[]) =>
    isReadable({ uid: USER, gid: GROUP, mode }, by, 'file', groups && (() => groups))
  assert.equal(readable(0o000, { uid: USER }), true)
  assert.equal(readable(0o640, { uid: OTHER }), false, 'in no group that is known')
  assert.equal(readable(0o640, { uid: OTHER }, [GROUP]), true)
  assert.equal(readable(0o600, { uid: OTHER }, [GROUP]), false)
  assert.equal(readable(0o640, { gid: GROUP }), true)
  assert.equal(readable(0o640, {}), false)
  for (const by of [{}, { uid: OTHER }, { gid: OTHER }]) assert.equal(readable(0o604, by), true)
  assert.equal(isReadable(of(USER, 0o701), {}, 'folder'), true)
  assert.equal(isReadable(of(USER, 0o744), {}, 'folder'), false)
})

test('messages name a user, a group, or everyone', () => {
  assert.equal(writerProblem({ uid: USER }), 'belongs to user 1000')
  assert.equal(writerProblem({ gid: GROUP }), 'may be written in by group 2000')
  assert.equal(writerProblem({}), 'may be written in by everyone')
})

test('a link is followed where it is of root, or of a user that is named', () => {
  assert.equal(isOfRootOr(ROOT), true)
  assert.equal(isOfRootOr(USER, undefined, USER), true)
  assert.equal(isOfRootOr(OTHER, undefined, USER), false)
})
