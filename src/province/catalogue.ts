// The catalogue of a generated province: the service items of article 5, one line each.
// Two of them make declines of their own: one has ended and one has not started.

import type { CatalogueItem, CatalogueVersion } from "../../engine/commands.js";
import type { DomainName } from "../../engine/domain.js";
import { departmentId } from "./organisations.js";
import { PROVINCE_CODE } from "./regions.js";

// code | name | English | function | kind | domain | regions | media | start | end | fen at most
const TABLE = `
1010001|养老待遇领取|Pension collection|pension|benefit|human-resources|46|c|20200101|0|2000000
1010002|失业待遇领取|Unemployment benefit|unemployment|benefit|human-resources|46|ce|20200101|0|500000
1010003|待遇资格认证|Proof of life|proof-of-life|proof|human-resources|46|ce|20200101|0|0
1010004|社保参保证明|Proof of social insurance|insurance-proof|proof|human-resources|46|ce|20200101|0|0
1010005|社保权益查询|Social insurance inquiry|insurance-inquiry|inquiry|human-resources|46|ce|20200101|0|0
1010006|技能培训签到|Training attendance|training|identity|human-resources|46|ce|20210301|0|0
1010007|稳岗补贴领取|Job subsidy (2020)|job-subsidy|benefit|human-resources|46|c|20200301|20211231|300000
2010001|门诊挂号|Outpatient registration|registration|identity|health|46|ce|20200101|0|10000
2010002|住院登记|Hospital admission|admission|identity|health|46|c|20200101|0|1000000
2010003|检查检验报告查询|Test report inquiry|report-inquiry|inquiry|health|46|ce|20200101|0|0
2010004|预防接种登记|Vaccination registration|vaccination|identity|health|46|ce|20200101|0|50000
2010005|健康体检|Health examination|examination|identity|health|46|ce|20200601|0|200000
3010001|公交乘车|Bus ride|bus|identity|transport|46|ce|20200101|0|1000
3010002|轨道交通乘车|Metro ride|metro|identity|transport|4601 4602|ce|20200101|0|2000
3010003|轮渡乘船|Ferry|ferry|identity|transport|4601 4602|ce|20200101|0|8000
3010004|城乡客运|Rural coach|coach|identity|transport|46|ce|20200701|0|5000
3010005|公共自行车|Public bicycle|bicycle|identity|transport|4601 4602 4604|ce|20200101|0|1000
3010006|老年优待乘车|Free ride for elders|elder-ride|benefit|transport|46|c|20200101|0|0
4010001|图书馆入馆|Library entry|library-entry|identity|culture-tourism|46|ce|20200101|0|0
4010002|图书借阅|Library loan|library-loan|identity|culture-tourism|46|ce|20200101|0|20000
4010003|景区入园|Scenic spot entry|scenic-entry|identity|culture-tourism|46|ce|20200101|0|30000
4010004|博物馆入馆|Museum entry|museum-entry|identity|culture-tourism|46|ce|20200101|0|0
4010005|体育场馆|Sports hall|sports|identity|culture-tourism|46|ce|20200101|0|10000
4010006|旅游年卡|Yearly tour pass|tour-pass|benefit|culture-tourism|46|ce|20200101|0|60000
5010001|低保金领取|Minimum living allowance|living-allowance|benefit|civil-affairs|46|c|20200101|0|300000
5010002|高龄津贴领取|Allowance for great age|age-allowance|benefit|civil-affairs|46|c|20200101|0|100000
5010003|残疾人补贴领取|Disability allowance|disability|benefit|civil-affairs|46|c|20200101|0|200000
5010004|养老机构入住登记|Care home registration|care-home|identity|civil-affairs|46|ce|20200101|0|0
6010001|校园门禁|School entry|school-entry|identity|education|46|ce|20200901|0|0
6010002|学生资助领取|Student aid collection|student-aid|benefit|education|46|c|20200901|0|600000
6010003|校园就餐|School meal|school-meal|identity|education|46|ce|20200901|0|5000
7010001|惠农补贴领取|Farming subsidy collection|farm-subsidy|benefit|finance|46|c|20200101|0|2000000
7010002|非税缴费|Non-tax payment|non-tax|identity|finance|46|ce|20200101|0|5000000
8010001|门诊结算|Outpatient settlement|outpatient|benefit|medical-security|46|ce|20200101|0|1000000
8010002|住院结算|Inpatient settlement|inpatient|benefit|medical-security|46|c|20200101|0|50000000
8010003|药店购药|Pharmacy|pharmacy|benefit|medical-security|46|ce|20200101|0|200000
8010004|异地就医备案|Care elsewhere|care-elsewhere|proof|medical-security|46|ce|20200101|0|0
8010005|医保账户查询|Medical account inquiry|medical-inquiry|inquiry|medical-security|46|ce|20200101|0|0
9010001|身份核验|Identity check|identity-check|identity|public-security|46|ce|20200101|0|0
9010002|居住证办理|Residence permit|residence|identity|public-security|46|ce|20200101|0|0
10010001|政务服务取号|Service hall queue ticket|queue|identity|big-data|46|ce|20200101|0|0
10010002|电子证照查询|Electronic licence inquiry|licences|inquiry|big-data|46|ce|20200101|0|0
10010003|通办自助服务|Self service across counties|self-service|proof|big-data|46|ce|20991231|0|0
`;

const CATALOGUE_EFFECTIVE_DATE = 20200101;

/** The generated catalogue, version 1. */
export function catalogueOf(): CatalogueVersion {
  const items = TABLE.trim().split("\n").map(itemOf);
  return { version: 1, effectiveDate: CATALOGUE_EFFECTIVE_DATE, items };
}

function itemOf(line: string): CatalogueItem {
  const [code, name, nameEn, purpose, kind, domain, regions, media, start, end, most] = line.split(
    "|",
  ) as string[];
  return {
    itemCode: Number(code),
    name: name!,
    nameEn: nameEn!,
    function: purpose!,
    kind: kind as CatalogueItem["kind"],
    domain: domain as DomainName,
    organisationId: departmentId(PROVINCE_CODE, domain as DomainName),
    regions: regions!.split(" ").map(Number),
    media: media === "c" ? ["chip"] : ["chip", "electronic"],
    startDate: Number(start),
    endDate: Number(end),
    amountMinorMax: Number(most),
  };
}
