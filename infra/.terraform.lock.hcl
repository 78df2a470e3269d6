# This file is maintained automatically by "terraform init".
# Manual edits may be lost in future updates.

provider "registry.terraform.io/hashicorp/google" {
  version     = "7.20.0"
  constraints = "~> 7.0"
  hashes = [
    "h1:/m+ukrdB6CAQh7ejtpblQUJ4uwqebXDbzxTpgZUuWJo=",
    "h1:7PoR1V+6PKUWZrQ4r9A1F6m+pI7k7eoghNHtUjN5V8M=",
    "h1:BfTH2WscrAsoXZVDp0ls+7b6cRCsBgS8OYYYeVR0bRo=",
    "h1:PWMILoak9cO5mRaI6w3G7NJSMYdfYSf8/AXCwJ2VPrg=",
    "h1:RAmjM5W6W4kJ2Fz962PEuYoEf4Xa1ycQAnSbkpj97Dc=",
    "h1:bMFyLhRDsYPyiIBXGWxpCTaMET0p2xDo6P2pitwhgpQ=",
    "h1:gZB4xZ7j0dvhU5m/jWZsDnKxBlVISsOutvokX/x3y3M=",
    "h1:mSvInduSo07vFXLy/MFv8RWyA38scTU4BFOJb/g49Vw=",
    "h1:qwHQevuqD/0c7/it6MkfMg3tobZ4jPqgLMYukrjiHPs=",
    "h1:r5TTY7rmNJcKZhnv32yWTfDE7T9/LdtLUpmIiX3I2UQ=",
    "h1:xAH7d06AQkxPcBbQCakO8JH4gHt1tVHlwDWX7ajcRRY=",
    "zh:0476beff4009352c52e4595c20beb21b0d5e20ebf3d86753df1ea4b655fdb000",
    "zh:25e2657deb9f518607193c48673270fbb40e1ae70c022737f4fb1f10d697fc2e",
    "zh:3e522fd06c0f8757510e39939d5b00dbc9c0712c9f25373ff89770501df5dd93",
    "zh:4fe718731a615a78a38a9485d21817f3168a311338e3ae31f0de86c0f5a53c40",
    "zh:64326e8fb391ac269361f0cabb929e842273781b082abba782d088f31e6a0250",
    "zh:71b95eff24ed205c18f756acb4e8da6a60a9406267271ac40a5a41516e4ed376",
    "zh:7e4db76bad642721b67cee2e13f4c52f4b38ac15ea3fbe7bbb267e15abf793ed",
    "zh:a8251fdef80c407e7e63cf24a815b3b6d6a15c27618a379d0344c61aaf48b552",
    "zh:bc37e63accc2d65fa37934c8dc56317ef39f1e269ef56603a94f74c7b4fd564d",
    "zh:dbe4c17db018637d1e6ffd3c1090edd6a0ea89c2859e535b9a9ce99da0b054ab",
    "zh:e52f3708c9c97b7113c61a00567fdb7de70a2ac870016fa6761d0794cc191900",
    "zh:f569b65999264a9416862bca5cd2a6177d94ccb0424f3a4ef424428912b9cb3c",
  ]
}
