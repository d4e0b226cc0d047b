import assert from 'node:assert/strict'
import { test } from 'node:test'
import { whyNotRead } from '../../src/values/failures/file-failure.js'

test('what fails for want of files says so, and what to do', () => {
  for (const code of ['EMFILE', 'ENFILE']) {
    const why = whyNotRead(Object.assign(new Error(`${code}: too many open files, open 'main.conf'`), { code }))
    assert.match(why, /as many files open as it may: raise its limit/)
  }
  const noFolder = Object.assign(new Error('ENOTDIR: not a directory'), { code: 'ENOTDIR' })
  assert.match(whyNotRead(noFolder), /^a part of its path is a file, not a folder/)
  assert.equal(whyNotRead(new Error('of no system call')), 'of no system call')
})
