#!/usr/bin/env node
// `npm sbom` of what is installed here, held against the lockfile: every package that is installed stands in it with its version, and nothing
// else does. (With --omit dev npm 11 leaves out packages that a development dependency could use too, such as yaml.)
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'))
const { packages } = lock
const text = execFileSync('npm', ['run', '--silent', 'sbom'], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
const sbom = JSON.parse(text)
const listed = new Set(
  // A package may call its own version v1.2.3; the lockfile never does.
  sbom.components.map(({ group, name, version }) => `${group ? `${group}/` : ''}${name}@${version.replace(/^v/, '')}`),
)

const expected = new Set()
for (const [path, { version, optional, devOptional }] of Object.entries(packages)) {
  // Optional packages for other systems are in the lockfile and not on the disk.
  if (path === '' || ((optional || devOptional) && !existsSync(path))) continue
  expected.add(`${path.slice(path.lastIndexOf('node_modules/') + 13)}@${version}`)
}
const missing = [...expected].filter((name) => !listed.has(name))
const surplus = [...listed].filter((name) => !expected.has(name))
console.log(`CycloneDX ${sbom.specVersion}: ${listed.size} packages, ${expected.size} in the lockfile`)
for (const name of missing) console.log(`missing: ${name}`)
for (const name of surplus) console.log(`not in the lockfile: ${name}`)
process.exit(sbom.bomFormat === 'CycloneDX' && missing.length + surplus.length === 0 && expected.size > 0 ? 0 : 1)
