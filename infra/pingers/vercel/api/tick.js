// Asks Cronfire for a tick each time Vercel's cron calls. Vercel proves itself with CRON_SECRET, as we do there.
const WITHIN_MS = 55_000;

export async function GET(request) {
  const secret = process.env.CRON_SECRET?.trim(); // as the header that Vercel sends
  if (!secret || request.headers.get("authorization") !== `Bearer ${secret}`) {
    return Response.json({ error: "unauthorized" }, { status: 401 });
  }
  const address = `${process.env.CRONFIRE_URL?.trim().replace(/\/+$/, "")}/tick`;
  if (!URL.canParse(address)) {
    console.error("CRONFIRE_URL must be an address such as https://cronfire-abc.a.run.app");
    return Response.json({ error: "CRONFIRE_URL is no address" }, { status: 500 });
  }
  try {
    const answer = await fetch(address, {
      method: "POST",
      headers: { authorization: `Bearer ${secret}` },
      redirect: "manual", // nobody else gets the secret
      signal: AbortSignal.timeout(WITHIN_MS),
    });
    const report = await answer.text();
    console.log(answer.status, report.slice(0, 2000));
    const worked = answer.ok && report.includes('"status":"ok"'); // another page may answer 200 as well
    return new Response(report, { status: worked ? 200 : 502 });
  } catch (fault) {
    console.error("no answer:", fault.cause?.code ?? fault.name);
    return Response.json({ error: "no answer" }, { status: 504 });
  }
}
