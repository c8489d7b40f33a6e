// Whether a document on standard input is AsyncAPI, by the specification's own parser.
import { text } from 'node:stream/consumers';
import { Parser } from '@asyncapi/parser';

const { document, diagnostics } = await new Parser().parse(await text(process.stdin));
const errors = diagnostics.filter(({ severity }) => severity === 0);
for (const { message, path } of errors) console.error(path.join('.'), message);
if (!document || errors.length > 0) process.exit(1);
console.log(document.allMessages().all().map((message) => message.name()).join('\n'));
