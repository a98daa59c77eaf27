//! Signatures of the standards and of another implementation, and what is refused.

use super::super::testing::{judges, raised};
use super::*;

/// RFC 7515, A.1 and A.3: header and claims with line ends of their own.
const JOE: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

#[test]
fn the_signatures_of_the_standards_fit() {
    let key = super::base64::decode(b"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow", true).unwrap();
    let message = format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{JOE}");
    assert_eq!(sign(&mut Keys::default(), "HS256", &key, message.as_bytes()).unwrap(), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");

    let message = format!("eyJhbGciOiJFUzI1NiJ9.{JOE}");
    let signature = b"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    assert_eq!(verify(&mut Keys::default(), "ES256", CURVE_PUBLIC.as_bytes(), message.as_bytes(), signature), Ok(true));
    assert_eq!(verify(&mut Keys::default(), "ES256", CURVE_PUBLIC.as_bytes(), b"another", signature), Ok(false));

    // RFC 8037, A.4.
    let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert_eq!(sign(&mut Keys::default(), "EdDSA", EDWARDS_PRIVATE.as_bytes(), message).unwrap(), signature);
    assert_eq!(verify(&mut Keys::default(), "EdDSA", EDWARDS_PUBLIC.as_bytes(), message, signature.as_bytes()), Ok(true));
}

/// Made by Python's `cryptography` over OpenSSL.
#[test]
fn rsa_signs_as_another_implementation_does() {
    let (message, signature) = RS256_TOKEN.rsplit_once('.').unwrap();
    for private in [RSA_PRIVATE, RSA_PRIVATE_PKCS1] {
        assert_eq!(sign(&mut Keys::default(), "RS256", private.as_bytes(), message.as_bytes()).unwrap(), signature);
    }
    for token in [RS256_TOKEN, PS256_TOKEN] {
        let (message, signature) = token.rsplit_once('.').unwrap();
        let name = if token == RS256_TOKEN { "RS256" } else { "PS256" };
        assert_eq!(verify(&mut Keys::default(), name, RSA_PUBLIC.as_bytes(), message.as_bytes(), signature.as_bytes()), Ok(true));
        assert_eq!(verify(&mut Keys::default(), "RS512", RSA_PUBLIC.as_bytes(), message.as_bytes(), signature.as_bytes()), Ok(false));
    }
}

/// The token that `jwt.io` shows.
#[test]
fn a_token_of_a_secret_is_what_others_make_of_it() {
    let said = raised(
        r#"local token = jwt.sign('{"sub":"1234567890","name":"John Doe","iat":1516239022}', "your-256-bit-secret")
           assert(token == "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c", token)
           local claims, header = jwt.verify(token, "your-256-bit-secret")
           assert(claims.name == "John Doe" and claims.iat == 1516239022 and header.alg == "HS256" and header.typ == "JWT")
           claims, header = jwt.read(token) assert(claims.sub == "1234567890" and header.alg == "HS256")
           local none, why = jwt.verify(token, "another secret") assert(none == nil and why == "the signature does not fit", why)
           none, why = jwt.verify(token:sub(1, -2) .. "d", "your-256-bit-secret") assert(none == nil and why == "the signature does not fit", why)
           none, why = jwt.verify(token, "your-256-bit-secret", { alg = "HS512" }) assert(none == nil and why == "the token is signed by HS256, not by HS512", why)"#,
    );
    assert_eq!(said, None);
}

#[test]
fn what_was_signed_is_verified_under_every_algorithm() {
    let said = raised(&format!(
        r#"local keys = {{
             HS = {{ "secret", "secret" }}, RS = {{ [[{RSA_PRIVATE}]], [[{RSA_PUBLIC}]] }},
             ES256 = {{ [[{CURVE_PRIVATE}]], [[{CURVE_PUBLIC}]] }}, Ed = {{ [[{EDWARDS_PRIVATE}]], [[{EDWARDS_PUBLIC}]] }},
           }}
           keys.PS = keys.RS
           for _, alg in ipairs {{ "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "EdDSA" }} do
             local pair = keys[alg] or keys[alg:sub(1, 2)]
             local token = jwt.sign({{ sub = "u1", roles = {{ "a", "b" }} }}, pair[1], {{ alg = alg, kid = "k1", header = {{ cty = "x" }} }})
             local claims, header = jwt.verify(token, pair[2], {{ alg = alg }})
             assert(claims, header) assert(claims.sub == "u1" and claims.roles[2] == "b" and header.alg == alg and header.kid == "k1" and header.cty == "x")
             assert(jwt.verify(token .. "A", pair[2], {{ alg = alg }}) == nil)
           end
           -- A public key is no secret: the oldest fraud with tokens.
           local forged = jwt.sign({{ sub = "admin" }}, keys.RS[2])
           local none, why = jwt.verify(forged, keys.RS[2], {{ alg = "RS256" }}) assert(none == nil and why == "the token is signed by HS256, not by RS256", why)"#
    ));
    assert_eq!(said, None);
}

#[test]
fn a_token_is_good_for_its_time() {
    let said = raised(
        r#"local token = jwt.sign({ sub = "u" }, "k", { expires = "1h" })
           local claims = jwt.verify(token, "k") assert(math.abs(claims.exp - time.unix() - 3600) < 5 and claims.exp % 1 == 0)
           local none, why = jwt.verify(jwt.sign({ exp = 1300819380 }, "k"), "k") assert(none == nil and why == "the token has expired", why)
           assert(jwt.verify(jwt.sign({ exp = math.floor(time.unix()) - 5 }, "k"), "k", { leeway = "1m" }))
           none, why = jwt.verify(jwt.sign({ nbf = time.unix() + 100 }, "k"), "k") assert(none == nil and why == "the token is not valid yet", why)
           none, why = jwt.verify(jwt.sign({ exp = "soon" }, "k"), "k") assert(none == nil and why == "`exp` is no time", why)
           for _, bad in ipairs { "", "a.b", "a.b.c.d", "!.e30.x", "e30.!.x", "bm8.e30.x", "WzFd" } do
             local none, why = jwt.read(bad) assert(none == nil and type(why) == "string", bad)
             none, why = jwt.verify(bad, "k") assert(none == nil and type(why) == "string", bad)
           end"#,
    );
    assert_eq!(said, None);
}

#[test]
fn values_are_taken_or_refused() {
    judges("jwt.sign(%, 'k')", &["text", "table"]);
    judges("jwt.sign({}, %)", &["text"]);
    judges("jwt.sign({}, 'k', %)", &["nil", "table"]);
    judges("jwt.sign({}, 'k', { expires = % })", &["nil", "whole", "fraction"]);
    judges("jwt.sign({}, 'k', { kid = % })", &["nil", "text"]);
    judges("jwt.sign({}, 'k', { header = % })", &["nil", "table"]);
    judges("jwt.sign({}, 'k', { alg = % })", &["nil"]);
    judges("jwt.read(%)", &["text"]);
    judges("jwt.verify(%, 'k')", &["text"]);
    judges("jwt.verify('x', %)", &["text"]);
    judges("jwt.verify('x', 'k', %)", &["nil", "table"]);
    judges("jwt.verify('x', 'k', { leeway = % })", &["nil", "whole", "fraction"]);
    judges("jwt.verify('x', 'k', { alg = % })", &["nil"]);
    for (code, why) in [
        ("jwt.sign({}, '')", "jwt.sign: the key must be a string that is not empty, got an empty one"),
        ("jwt.sign({}, 'k', { alg = 'none' })", "jwt.sign: there is no algorithm `none`: there are HS256"),
        ("jwt.sign({}, 'k', { alg = 'RS256' })", "jwt.sign: RS256 signs with a private key in PEM"),
        ("jwt.sign({}, 'k', { expire = 1 })", "jwt.sign has no `expire`, did you mean `expires`?"),
        ("jwt.sign({ f = print }, 'k')", "jwt.sign: the claims: "),
        ("jwt.sign({ exp = 1 }, 'k', { expires = 1 })", "the claims have an `exp` of their own"),
        ("jwt.sign({}, 'k', { header = { alg = 'none' } })", "the algorithm is the option `alg`"),
        ("jwt.verify('x', 'k', { alg = 'ES256' })", "jwt.verify: ES256 is verified with a public key in PEM"),
    ] {
        let said = raised(code).unwrap();
        assert!(said.starts_with("test.lua:3: ") && said.contains(why), "{code}: {said}");
    }
    assert!(raised(&format!("jwt.sign({{}}, [[{CURVE_PRIVATE}]], {{ alg = 'RS256' }})")).unwrap().contains("RS256 signs with a private key"));
}

const RSA_PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQD3k6aFDdz/Ye31
ShRo3qyeh+H3GVf7gW5UQ67t8DKfJSo9MdHlok8jePALSOG0VPNYeVuftNZV1ylF
XzbV9HtYM0VoM/jCZX/LpPRs2uPd9YA+oxflRoGRg8FFq7DBjE/rHlcn+9xg+yJg
cBTuslT1GDp46Td5AzGbboCrxOM3YPF4xeTXlsG7/tF6uigmJH3MmekefUUwxk9t
R8z2LcNVj7/UakWBUB2ZPDJr3DPHG8FVdEMh7Z9vndnIG6lQAmxgkwJ4iD42znP5
cOxx28Y11M2mO/MhLmV/5JTs3yqV3UgnGckIMEsgh5hFyL/w7Q6M051sgkXKRTwD
CemdQKnpAgMBAAECggEAJI/nGyY5eXOubzeh/PzJlF3v5oyVHDz4nLQkLNp4t10H
OGNXoqiONGhjVt9MCdQz3eCKQfM0Zhfw7eBKWl2RK6zitqlaNudDcMErIbpPxZNA
fb+bQ05eyy0giVf6MhM1KD1iVLLS0HW2FXTn+npWpp2N4RZcDWCF3nT6xqM8hQxf
L2etpBfj5t1tXkfTKcpa4V3HL/wmFOHHIeWISKbxAE9ILy6t7WVDYlk479Bi0aJl
m2wqlM+aeXicNkDyU2ixWNLDI6byvsuMHBMPKvl/shlkoeOkx+wl6Yu8C2Asyu0o
ZkXAc2lee4QTdGqJswL88a7sIKIylT27RdKNcugKgwKBgQD/A+ZHtrYmU91vb1Cp
z+fg2nmfOQU5htpUJld5EVk5ALMIOfSMMXVYLsxB2Lpkc3ln7+4Bkfx27P/ztdTc
620EKBMreuciqqBrhd9U0c3kWnxUlG1AGYIIFGlKHXYZmo9IhIOfAY/55jXov/wN
pycRmyygNP0GlHTuP535ZwWB/wKBgQD4iGXBc2o6f8FPHSRXKSoy92zccA9dzfo2
I0eA3iwIvpOstO1UYBOr97FUrNwYrE2pdBQA6wukCBHnvcozqLTB3FEhIietN3OW
OOW2GFv/uty3/M/ORalhYdzucUtOIdt/3k66oDOwOjY0V+vuaJiqoDcRwQ3KkM7S
egooRkYEFwKBgEYhZWfdaHRb5e6qVy2L/oHIs1/FR5mNa2du7+lciwPxHEsr3QPc
6h9pJ0UIfCH5265ovjRyWFLAVJdKLxLeL6nP942ijAPtlpZbR5LE6/FbrQt5kh3p
pefg7R+zwHHEHplbz/KfdF/OHo82lPOQP19JJFmemOMBWrLWjfQzj8EzAoGBAIeZ
e9NRklr6i1EL+GDp39FQ9/9J0MiAco0JMKEaFvJqcI4hZP/NL8565TDq42c+01yq
LaPWmlJT6NkEzwbifETtXQJz7Svv/kuvHX39ymw72uMzt3m2vlSYnX8nJ0wo4ubg
NxpSAAGdsSdb9SjtvqYRpho0t76WxZFG7rXMqbTfAoGBAOE3S19XXA6vid8PY8IO
cc8/rIzlrDe7yP0sd0VfSkIOBVI3bKmQ9fyzFNtAYMvLhmijkxrqcEUdf5n0QpJe
xooDubNqCpWi6vvSd3Nzd4McpPSHvimVWcnlqCLRODUYL6j9SlPJcqxN/oTnEmMa
kpsQphXI+PtR6z1pk5M9hJQY
-----END PRIVATE KEY-----";

const RSA_PRIVATE_PKCS1: &str = "-----BEGIN RSA PRIVATE KEY-----
MIIEpAIBAAKCAQEA95OmhQ3c/2Ht9UoUaN6snofh9xlX+4FuVEOu7fAynyUqPTHR
5aJPI3jwC0jhtFTzWHlbn7TWVdcpRV821fR7WDNFaDP4wmV/y6T0bNrj3fWAPqMX
5UaBkYPBRauwwYxP6x5XJ/vcYPsiYHAU7rJU9Rg6eOk3eQMxm26Aq8TjN2DxeMXk
15bBu/7RerooJiR9zJnpHn1FMMZPbUfM9i3DVY+/1GpFgVAdmTwya9wzxxvBVXRD
Ie2fb53ZyBupUAJsYJMCeIg+Ns5z+XDscdvGNdTNpjvzIS5lf+SU7N8qld1IJxnJ
CDBLIIeYRci/8O0OjNOdbIJFykU8AwnpnUCp6QIDAQABAoIBACSP5xsmOXlzrm83
ofz8yZRd7+aMlRw8+Jy0JCzaeLddBzhjV6KojjRoY1bfTAnUM93gikHzNGYX8O3g
SlpdkSus4rapWjbnQ3DBKyG6T8WTQH2/m0NOXsstIIlX+jITNSg9YlSy0tB1thV0
5/p6VqadjeEWXA1ghd50+sajPIUMXy9nraQX4+bdbV5H0ynKWuFdxy/8JhThxyHl
iEim8QBPSC8ure1lQ2JZOO/QYtGiZZtsKpTPmnl4nDZA8lNosVjSwyOm8r7LjBwT
Dyr5f7IZZKHjpMfsJemLvAtgLMrtKGZFwHNpXnuEE3RqibMC/PGu7CCiMpU9u0XS
jXLoCoMCgYEA/wPmR7a2JlPdb29Qqc/n4Np5nzkFOYbaVCZXeRFZOQCzCDn0jDF1
WC7MQdi6ZHN5Z+/uAZH8duz/87XU3OttBCgTK3rnIqqga4XfVNHN5Fp8VJRtQBmC
CBRpSh12GZqPSISDnwGP+eY16L/8DacnEZssoDT9BpR07j+d+WcFgf8CgYEA+Ihl
wXNqOn/BTx0kVykqMvds3HAPXc36NiNHgN4sCL6TrLTtVGATq/exVKzcGKxNqXQU
AOsLpAgR573KM6i0wdxRISInrTdzljjlthhb/7rct/zPzkWpYWHc7nFLTiHbf95O
uqAzsDo2NFfr7miYqqA3EcENypDO0noKKEZGBBcCgYBGIWVn3Wh0W+Xuqlcti/6B
yLNfxUeZjWtnbu/pXIsD8RxLK90D3OofaSdFCHwh+duuaL40clhSwFSXSi8S3i+p
z/eNoowD7ZaWW0eSxOvxW60LeZId6aXn4O0fs8BxxB6ZW8/yn3Rfzh6PNpTzkD9f
SSRZnpjjAVqy1o30M4/BMwKBgQCHmXvTUZJa+otRC/hg6d/RUPf/SdDIgHKNCTCh
GhbyanCOIWT/zS/OeuUw6uNnPtNcqi2j1ppSU+jZBM8G4nxE7V0Cc+0r7/5Lrx19
/cpsO9rjM7d5tr5UmJ1/JydMKOLm4DcaUgABnbEnW/Uo7b6mEaYaNLe+lsWRRu61
zKm03wKBgQDhN0tfV1wOr4nfD2PCDnHPP6yM5aw3u8j9LHdFX0pCDgVSN2ypkPX8
sxTbQGDLy4Zoo5Ma6nBFHX+Z9EKSXsaKA7mzagqVour70ndzc3eDHKT0h74plVnJ
5agi0Tg1GC+o/UpTyXKsTf6E5xJjGpKbEKYVyPj7Ues9aZOTPYSUGA==
-----END RSA PRIVATE KEY-----";

const RSA_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA95OmhQ3c/2Ht9UoUaN6s
nofh9xlX+4FuVEOu7fAynyUqPTHR5aJPI3jwC0jhtFTzWHlbn7TWVdcpRV821fR7
WDNFaDP4wmV/y6T0bNrj3fWAPqMX5UaBkYPBRauwwYxP6x5XJ/vcYPsiYHAU7rJU
9Rg6eOk3eQMxm26Aq8TjN2DxeMXk15bBu/7RerooJiR9zJnpHn1FMMZPbUfM9i3D
VY+/1GpFgVAdmTwya9wzxxvBVXRDIe2fb53ZyBupUAJsYJMCeIg+Ns5z+XDscdvG
NdTNpjvzIS5lf+SU7N8qld1IJxnJCDBLIIeYRci/8O0OjNOdbIJFykU8AwnpnUCp
6QIDAQAB
-----END PUBLIC KEY-----";

const CURVE_PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjpsQnnGQmL+YBIff
H1136cspYG6+0iY7X1fCE9+E9LKhRANCAAR/zc4ncPbEXUGDy+5v20t7WAczNXvp
7xO6z248e9FURcfxRM0bvZt+hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt
-----END PRIVATE KEY-----";

const CURVE_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7
6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==
-----END PUBLIC KEY-----";

const EDWARDS_PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----";

const EDWARDS_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----";

const RS256_TOKEN: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1MSJ9.Mp3uuZyIwkAywpAbnP9QWFnkIfsXWbaMpZ8YBHcGrOWHMEZMH0O662_cZr2AJpwKrW2_gi78GpTYH4C9J64ZwWg7jDVkkIW4O_2jiNQPVAHi_kjhI68waKhSVVnHKS5Rj1JIvsYacf0Kh0-DJj6WwH8APwbz2G6cIQYUoiItfGnFckCBhLPenQgBdKJf-VLThS8Gvq4240Fzcv7fMLVHqG7f_gHCOhDxuNgHuza2RtivcRH8lptOANlXqTKYO9WbTlogE-cjh88TXMUrPbqiVcrT5r7p-FivyCs_vcttZmHJb84BoH0QmMuCmHxZLSH3LtqApxgmXkn3YE15-o_SBg";

const PS256_TOKEN: &str = "eyJhbGciOiJQUzI1NiJ9.eyJzdWIiOiJ1MSJ9.syEznIDuof0JP4SnE_8hHclokg10Z0FBA9EYMyZ1bTbQhC9-AqDqmy1PtxjSqPRzTyezbdtXl95lKdaCHC9Wgb-pdRGTCt1fiN6hceFpgAicH_LZuMMCoHgFXsIx4mmEteRIEes_3peuLE824goejOY39_HMMmVk5SlS0qcHRnuYa6hjR2iej-9QA5sO_65rGKPnS3_FY1zYZOM5CJ7d7BxKo-kQKrlQ_Ooa_P6slk15QV7wpUEZsVJY4SZRgKkUWQZlUZY_2JTJ6t5gWlNqJv7yHFmRw9NOpHeDqSn5ssXgFjsVddYVF-G_X5FDpnsa7NOXv5mn4CXx8MzStp6MWg";
