import { expect, test } from 'vitest'
import { FIELDS, type RunOptions } from '../../src/config/options.ts'
import { changedOptions } from '../../src/config/reload.ts'
import { resolveOptions } from '../../src/config/resolve.ts'

async function options(flags: Readonly<Record<string, string>>): Promise<RunOptions> {
  const given = new Map(Object.entries({ to: 'null', workers: '2', ...flags }).map(([key, value]) => [key, [value]]))
  const { options } = await resolveOptions('run', { flags: given, arguments: [], faults: [] }, {})
  return options
}

test('equal configurations change nothing', async () => {
  const { changed, refused } = changedOptions(await options({}), await options({}))
  expect([changed, refused]).toEqual([[], []])
})

test('what may change is taken over and told as people write it; what may not is named, and stays', async () => {
  const before = await options({ percent: '50', allowFrom: '10.0.0.0/8', workers: '2' })
  const after = await options({
    percent: '20',
    sampleBy: 'header:X-User',
    allowFrom: '10.0.0.0/8,fd00::/8',
    vni: '1,2',
    workers: '3',
    to: 'http://staging:8080',
  })
  const { options: now, changed, refused } = changedOptions(before, after)
  expect(changed).toEqual([
    { name: '--allow-from', from: '10.0.0.0/8', to: '10.0.0.0/8,fd00::/8' },
    { name: '--vni', from: 'any', to: '1,2' },
    { name: '--percent', from: '50', to: '20' },
    { name: '--sample-by', from: 'connection', to: 'header:x-user' },
  ])
  expect(refused).toEqual(['--to', '--workers'])
  expect(now).toEqual({
    ...before,
    percent: 20,
    sampleBy: after.sampleBy,
    allowFrom: after.allowFrom,
    vni: [1, 2],
  })
})

test('the options that reload are these', () => {
  const reloading = Object.entries(FIELDS.run).flatMap(([key, field]) =>
    'reloads' in field && field.reloads ? [key] : [],
  )
  expect(reloading.sort()).toEqual([
    ...['allowFrom', 'drainTimeoutMs', 'exclude', 'include', 'keepHost', 'logLevel', 'methods', 'percent', 'ports'],
    ...['rate', 'sampleBy', 'vni'],
  ])
})
