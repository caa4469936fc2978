// Makes containers and signs tokens, by Node's own cryptography:
// the rules are those of "Authorize with Shared Key" and "Create a service SAS" of Microsoft's documentation.
import { createHmac } from 'node:crypto'

const [url, account, key, verb, container, rights] = process.argv.slice(1)
const version = '2021-08-06'
const sign = text => createHmac('sha256', Buffer.from(key, 'base64')).update(text, 'utf8').digest('base64')

if (verb === 'make') {
  const date = new Date().toUTCString()
  const headers = { 'x-ms-date': date, 'x-ms-version': version }
  const named = `x-ms-date:${date}\nx-ms-version:${version}\n`
  const text = 'PUT' + '\n'.repeat(12) + named + `/${account}/${account}/${container}\nrestype:container`
  headers.authorization = `SharedKey ${account}:${sign(text)}`
  const answer = await fetch(`${url}/${container}?restype=container`, { method: 'PUT', headers })
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`)
} else if (verb === 'sas') {
  const end = new Date(Date.now() + 3600e3).toISOString().slice(0, 19) + 'Z'
  const fields = [rights, '', end, `/blob/${account}/${container}`, '', '', '', version, 'c', '', '', '', '', '', '', '']
  const token = new URLSearchParams({ sv: version, se: end, sr: 'c', sp: rights, sig: sign(fields.join('\n')) })
  console.log(token.toString())
} else {
  throw new Error(`unknown verb ${verb}`)
}
