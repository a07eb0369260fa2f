// Readers of /roots, for k6: a page of the newest roots once a second each, and for one in ten a long poll. Run with
//   ADDRESS=127.0.0.1:5082 k6 run --insecure-skip-tls-verify testing/performance/https/roots.js
import http from 'k6/http';
import { check, sleep } from 'k6';

export const options = {
  vus: Number(__ENV.VUS || 64),
  duration: __ENV.DURATION || '10s',
  thresholds: {
    'http_req_failed': ['rate<0.001'],
    'http_req_duration{kind:short}': ['p(95)<20'], // ms, the service level
  },
};

const roots = `https://${__ENV.ADDRESS}/roots`;

export default function () {
  const long = __VU % 10 === 0;
  const query = long ? 'since=0&wait=5s' : 'since=0&limit=100';
  const answer = http.get(`${roots}?${query}`, { tags: { kind: long ? 'long' : 'short' } });
  check(answer, {
    'is 200': (r) => r.status === 200,
    'has roots': (r) => r.json('roots') !== undefined,
  });
  if (!long) {
    sleep(1);
  }
}
