import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ServiceMetrics } from '../../src/api/metrics/service-metrics.js'
import { parseConfig } from '../../src/config/config-parser.js'
import { createRelayTraffic } from '../../src/relay/services/relay-traffic.js'

const LEAST = '[general]\nnode_id = "relay-1"\n[output.upstream]\nhost = "rudder.example.com"\n'
const parse = (text: string) => parseConfig(`${LEAST}${text}`, '', '/etc/treeline', () => '')

test('each request has a line in the log where that is set, without its query', () => {
  let config = parse('')
  const lines: Record<string, unknown>[] = []
  const logger = { info: (facts: object, text: string) => void lines.push({ ...facts, text }) }
  const traffic = createRelayTraffic({ config: () => config, metrics: new ServiceMetrics(), logger })
  const target = `/v1/relay/git/\u00e9?token=secret`
  const serve = (givenId: string | undefined) => {
    const request = traffic.begin({ method: 'GET', target, remoteAddress: '192.0.2.1', givenId })
    request.enter('git', false, { end: () => undefined, allow: () => undefined, flowChanged: () => undefined })
    request.wentOver('client git/one')
    request.answered(200)
    request.over(false)
  }
  serve('a')
  assert.equal(lines.length, 0)
  config = parse('[services]\nlog = true\n')
  serve('mine')
  serve('not an id')
  const [first, second] = lines
  assert.equal(typeof first?.ms, 'number')
  assert.deepEqual(
    { ...first, ms: undefined },
    {
      reqId: 'mine',
      method: 'GET',
      path: '/v1/relay/git/?',
      key: 'git',
      hop: 'client',
      status: 200,
      received: 0,
      sent: 0,
      ms: undefined,
      address: '192.0.2.1',
      brokenOff: true,
      text: 'request to a service'
    }
  )
  assert.match(String(second?.reqId), /^[0-9a-f]{10}-\w+$/)
  assert.doesNotMatch(JSON.stringify(lines), /secret/)
})
