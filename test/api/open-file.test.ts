import assert from 'node:assert/strict'
import fs, { renameSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import fastify from 'fastify'
import { sendOpened } from '../../src/api/answers/open-file.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

test('a file that is open is answered with as it is there, in ranges too, and never another one', async t => {
  const path = join(await temporaryFolder(t), 'file.txt')
  let meanwhile: () => void = () => undefined
  const app = fastify()
  app.get('/', async (request, reply) => {
    const handle = await open(path)
    meanwhile()
    const result = await sendOpened(request, reply, path, { handle, etag: true, gone: 'gone' })
    if (result === undefined) return reply.code(410).send(String(handle.fd))
    return reply.code(result.statusCode).headers(result.headers).send(result.stream)
  })
  t.after(() => app.close())
  const get = async (headers: Record<string, string> = {}) => {
    const answer = await app.inject({ method: 'GET', url: '/', headers })
    return { status: answer.statusCode, text: answer.payload, headers: answer.headers }
  }
  writeFileSync(path, '')
  assert.deepEqual([(await get()).status, (await get()).text], [200, ''])
  writeFileSync(path, '0123456789')
  const whole = await get()
  assert.deepEqual([whole.status, whole.text], [200, '0123456789'])
  assert.match(String(whole.headers['content-type']), /^text\/plain/)
  for (const [range, text] of [
    ['0-2', '012'],
    ['8-', '89'],
    ['-3', '789']
  ]) {
    const part = await get({ range: `bytes=${range}` })
    assert.deepEqual([part.status, part.text], [206, text])
  }
  assert.equal((await get({ 'if-none-match': String(whole.headers.etag) })).status, 304)
  const opened = t.mock.method(fs, 'createReadStream')
  writeFileSync(path, '')
  assert.equal((await get()).text, '')
  assert.equal(opened.mock.callCount(), 0, 'it is not opened by its path again, where another one may be by then')
  opened.mock.restore()
  writeFileSync(path, '0123456789')
  meanwhile = () => {
    writeFileSync(`${path}.new`, 'abcdefghij')
    renameSync(`${path}.new`, path)
  }
  assert.deepEqual([(await get()).status, (await get()).text], [410, '-1'], 'and the file is closed')
})
