import assert from 'node:assert/strict'
import { constants } from 'node:os'
import { test } from 'node:test'
import { asDiskFailure, diskFailure } from '../../src/values/failures/disk-failure.js'
import { isDamage, StorageFailure, type StorageFailureKind } from '../../src/values/failures/storage-failure.js'
import { errorMessage } from '../../src/values/failures/system-error.js'

const FOLDERS = [
  { setting: 'shared_files.path', path: '/srv/storage/files' },
  { setting: 'storage.path', path: '/srv/storage' }
]

function failure(code: string, more: { path?: string; syscall?: string } = {}) {
  return diskFailure(Object.assign(new Error(code), { code, ...more }), FOLDERS)
}

/** A failure as it comes from another thread: without its class. */
function structuredCloneOf({ name, message, kind }: StorageFailure): Error {
  return Object.assign(new Error(message), { name, kind })
}

test('each way in which a disk refuses is told apart, with the folder and what to do', () => {
  const cases: readonly [code: string, path: string, expected: string, says: RegExp][] = [
    ['ENOSPC', '', 'STORAGE_FULL', /^the disk that holds storage\.path \(\/srv\/storage\) is full/],
    [
      'EDQUOT',
      '/srv/storage/files/.incoming~/a',
      'STORAGE_FULL',
      /quota .* shared_files\.path \(\/srv\/storage\/files\)/
    ],
    ['EROFS', '/srv/storage/files/x', 'STORAGE_UNUSABLE', /^shared_files\.path .*read-only/],
    ['EACCES', '/srv/storage/runs/x', 'STORAGE_UNUSABLE', /may not use \/srv\/storage\/runs\/x in storage\.path/],
    [
      'EISDIR',
      '/srv/storage/files/n/files/n/x',
      'STORAGE_UNUSABLE',
      /a folder is where a file belongs.*\/n\/files\/n\/x/
    ],
    ['EXDEV', '/srv/storage/files/x', 'STORAGE_UNUSABLE', /different file systems/],
    ['EMFILE', '/srv/storage/files/x', 'STORAGE_UNUSABLE', /as many files open as it may/],
    ['ENFILE', '', 'STORAGE_UNUSABLE', /as many files open as it may/],
    ['EFBIG', '/srv/storage/files/x', 'STORAGE_UNUSABLE', /larger than its file system, or the limit of the relay/],
    [
      'ENOTCONN',
      '/srv/storage/files/x',
      'STORAGE_UNUSABLE',
      /^the file system of shared_files\.path .*does not answer/
    ],
    ['ENODEV', '', 'STORAGE_UNUSABLE', /^the file system of storage\.path .*does not answer/],
    ['ETIMEDOUT', '', 'STORAGE_UNUSABLE', /^the file system of storage\.path .*does not answer/],
    ['EBUSY', '/srv/storage/files/x', 'STORAGE_UNUSABLE', /^the file system of shared_files\.path/],
    ['ENOMEM', '', 'STORAGE_UNUSABLE', /no memory left/],
    ['EREMOTEIO', '', 'STORAGE_UNUSABLE', /reports errors/],
    ['EIO', '/elsewhere/x', 'STORAGE_UNUSABLE', /^the disk that holds \/elsewhere\/x reports errors/]
  ]
  for (const [code, path, expected, says] of cases) {
    const found = failure(code, path === '' ? {} : { path })
    assert.equal(found?.code, expected, code)
    assert.match(found.message, says)
  }
})

test('a socket that fails with a code of disks is none', () => {
  for (const code of ['ENOTCONN', 'ETIMEDOUT', 'ENOMEM']) {
    const error = Object.assign(new Error(`write ${code}`), { code, syscall: 'write' })
    assert.equal(diskFailure(error, FOLDERS), undefined, code)
  }
})

test('a storage of records is named by the setting of its folder, whatever it is', () => {
  const cases: readonly [kind: StorageFailureKind, expected: string, says: RegExp][] = [
    ['full', 'STORAGE_FULL', /storage\.path/],
    ['read-only', 'STORAGE_UNUSABLE', /storage\.path .*read-only now, or the relay's user may not write state\.db/],
    ['broken', 'STORAGE_UNUSABLE', /storage\.path .*reports errors/],
    ['broken-or-quota', 'STORAGE_UNUSABLE', /storage\.path .*reports errors, or the disk quota/],
    ['damaged', 'STORAGE_UNUSABLE', /storage\.path .*damaged/],
    ['cannot-open', 'STORAGE_UNUSABLE', /storage\.path .*cannot be opened/],
    ['locked', 'STORAGE_UNUSABLE', /another program/]
  ]
  for (const [kind, expected, says] of cases) {
    for (const error of [new StorageFailure(kind, 'no'), structuredCloneOf(new StorageFailure(kind, 'no'))]) {
      const found = diskFailure(error, FOLDERS)
      assert.equal(found?.code, expected, kind)
      assert.match(found.message, says)
      assert.equal(isDamage(error), kind === 'damaged')
    }
  }
})

test('a disk quota is known by its number, for which Node has no name', () => {
  const text = `Unknown system error -${constants.errno.EDQUOT}`
  const error = Object.assign(new Error(`${text}: ${text}, open '/srv/storage/x'`), {
    code: text,
    errno: -constants.errno.EDQUOT,
    path: '/srv/storage/x'
  })
  const found = diskFailure(error, FOLDERS)
  assert.equal(found?.code, 'STORAGE_FULL')
  assert.match(found.message, /quota/)
  assert.equal(errorMessage(error), "EDQUOT: disk quota exceeded, open '/srv/storage/x'")
})

test('an agent is told of itself, and what to do about its own database', () => {
  const ofAgent = [{ setting: 'storage.path', path: '/srv/agent', keeper: 'agent' }] as const
  assert.match(
    diskFailure(new StorageFailure('damaged', 'no'), ofAgent)?.message ?? '',
    /^state\.db in storage\.path \(\/srv\/agent\) is damaged; stop the agent, .* start the agent again: .* But first see the kernel's log/
  )
  for (const [code, path, says] of [
    ['EDQUOT', '', /the agent's user/],
    ['EACCES', '/srv/agent/runs', /^the agent's user may not use/],
    ['ENOENT', '/srv/agent/runs', /restart the agent$/],
    ['EMFILE', '', /^the agent, or its machine/]
  ] as const) {
    const found = diskFailure(Object.assign(new Error(code), { code, ...(path === '' ? {} : { path }) }), ofAgent)
    assert.match(found?.message ?? '', says)
    assert.doesNotMatch(found?.message ?? '', /relay|root|restore/)
  }
})

test('what is no matter of a disk stays what it is', () => {
  for (const error of [new Error('other'), Object.assign(new Error(), { code: 'ENOENT' }), 'text', undefined]) {
    assert.equal(asDiskFailure(error, FOLDERS), error)
  }
  for (const syscall of ['connect', 'spawn /bin/x', 'listen']) {
    for (const code of ['EACCES', 'EMFILE']) assert.equal(failure(code, { syscall }), undefined)
  }
  assert.equal(failure('ERR_OTHER'), undefined)
  assert.ok(!isDamage(Object.assign(new Error(), { kind: 'damaged' })))
})
