// An identity provider with people who sign in by clicking their name: node provider.mjs ISSUER CALLBACK [CHAIN KEY]
// It listens where its issuer says; CHAIN and KEY are PEM files of an https one.
// Its memory is its own; POST /control changes it: {people: [...], down: bool}.
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import Provider from 'oidc-provider';

const [issuer, callback, chain, keyFile] = process.argv.slice(2);
const memory = { people: ['s-alice', 's-bob', 's-nobody'], down: false };
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = { ...privateKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig', alg: 'RS256' };
const client = (name) => ({
  client_id: name,
  client_secret: `secret-of-${name}`,
  redirect_uris: [callback],
  grant_types: ['authorization_code', 'refresh_token'],
});

const provider = new Provider(issuer, {
  clients: [client('tre'), client('other')],
  jwks: { keys: [key] },
  cookies: { keys: ['only for tests'] },
  pkce: { required: () => true },
  scopes: ['openid', 'offline_access'],
  claims: { openid: ['sub', 'amr', 'acr', 'email', 'preferred_username', 'groups'] },
  conformIdTokenClaims: false,
  features: { devInteractions: { enabled: false } },
  ttl: { RefreshToken: 86400, Grant: 86400, Session: 86400, Interaction: 600, AccessToken: 600, IdToken: 600, AuthorizationCode: 60 },
  // Everybody claims to be the platform's own bob and its administrator: nothing of it may count.
  findAccount: (ctx, sub) => (memory.people.includes(sub)
    ? { accountId: sub, claims: () => ({ sub, email: 'bob@uni.example', preferred_username: 'bob', groups: ['administrator'] }) }
    : undefined),
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
});

const page = (uid) => `<!doctype html><title>Provider</title><form method="post" action="/interaction/${uid}">
<input name="person" id="person"><input name="amr" id="amr" value="pwd otp"><button id="go">Go</button></form>`;

async function body(request) {
  let text = '';
  for await (const part of request) text += part;
  return text;
}

async function finish(ctx) {
  const form = new URLSearchParams(await body(ctx.req));
  const { params } = await provider.interactionDetails(ctx.req, ctx.res);
  const grant = new provider.Grant({ accountId: form.get('person'), clientId: params.client_id });
  grant.addOIDCScope('openid offline_access');
  const result = {
    login: { accountId: form.get('person'), amr: form.get('amr').split(' ') },
    consent: { grantId: await grant.save() },
  };
  await provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: false });
  ctx.respond = false;
}

provider.use(async (ctx, next) => {
  if (ctx.path === '/control') {
    Object.assign(memory, JSON.parse(await body(ctx.req)));
    ctx.body = memory;
  } else if (memory.down) {
    ctx.status = 503;
  } else if (ctx.path.startsWith('/interaction/')) {
    if (ctx.method === 'POST') await finish(ctx);
    else ctx.body = page(ctx.path.split('/')[2]);
  } else {
    await next();
  }
});

const { hostname, port } = new URL(issuer);
const server = chain
  ? createSecureServer({ cert: readFileSync(chain), key: readFileSync(keyFile) }, provider.callback())
  : createServer(provider.callback());
server.listen(Number(port || 443), hostname);
