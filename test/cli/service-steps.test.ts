import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serviceSteps } from '../../src/cli/processes/service-steps.js'

test('a unit is copied before its folder belongs to its user, who could change it', () => {
  const service = {
    command: 'serve',
    unit: 'treeline-relay-root.service',
    folder: '/etc/treeline',
    data: '/var/lib/treeline',
    user: 'treeline',
    program: ['/opt/treeline/treeline']
  } as const
  const steps = serviceSteps(service, 'root')
    .split('\n')
    .slice(1)
    .map(line => line.trim().split(' ')[0])
  assert.deepEqual(steps, ['install', 'id', 'chown', 'systemctl'])
})
