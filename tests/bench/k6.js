// The same scenario for k6: a small GET with a name and a check.
import http from 'k6/http';
import { check } from 'k6';

export default function () {
  const res = http.get(`${__ENV.TARGET}/small.json`, { tags: { name: 'small' } });
  check(res, { ok: (r) => r.status === 200 });
}
