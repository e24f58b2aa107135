import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Minutes of faults, one at a time: `npm run test:faults`.
    exclude: ['**/node_modules/**', 'test/faults/**'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    pool: 'forks',
    // Pipeline tests start threads and sockets of their own: more than two files at once on a small machine only adds noise.
    maxWorkers: 2,
  },
})
