"use strict";
// validatorUrl: otherwise the description's address is sent to a server of Swagger's.
// The address is one beside this page, which may be mounted below another.
const url = new URL("openapi.json", location.href).href;
SwaggerUIBundle({ url, dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null });
